-- Which category rule takes what: for everything that has a cost and that a rule of the policy matches, the first one.
-- grain: UTC day x connection x account x API key x model
-- key: usage_date, connection_id, account_id, api_key_id, model
-- month: usage_date
-- owner: team:billing
-- Tokens per request are the day's: (input + output) over requests of the project, key and model. Without usage figures
-- only rules of a key, project or model can match; what none matches is uncategorised and has no row.
-- column usage_date: UTC day.
-- column connection_id: The provider account.
-- column account_id: Project id or key hash; empty for cost no account explains.
-- column api_key_id: API key id or key hash; empty where the provider does not say.
-- column model: Model; NULL for items that are no model.
-- column tokens: Input and output; NULL without usage figures.
-- column requests: Model requests; NULL without usage figures.
-- column category: Kind of operation.
-- column category_rule_id: The rule.
-- column policy_sha256: The version of the policy the rule is chosen under.
WITH first_rule AS (
    SELECT
        cost.usage_date, cost.connection_id, cost.account_id, cost.api_key_id, cost.model,
        max(cost.policy_sha256) AS policy_sha256,
        max(size.tokens) AS tokens,
        max(size.requests) AS requests,
        min(rule.position) AS position
    FROM staging.bound_costs AS cost
    LEFT JOIN staging.request_sizes AS size
        ON size.usage_date = cost.usage_date
        AND size.connection_id = cost.connection_id
        AND size.account_id = cost.account_id
        AND size.api_key_id = cost.api_key_id
        AND size.model = cost.model
    JOIN policy.categories AS rule
        ON rule.policy_sha256 = cost.policy_sha256
        AND rule.valid_from <= cost.usage_date
        AND (rule.valid_until IS NULL OR cost.usage_date < rule.valid_until)
        AND (rule.api_key_like IS NULL OR nullif(cost.api_key_id, '') LIKE rule.api_key_like ESCAPE '!')
        AND (rule.project_like IS NULL OR nullif(cost.account_id, '') LIKE rule.project_like ESCAPE '!')
        AND (rule.model_like IS NULL OR cost.model LIKE rule.model_like ESCAPE '!')
        AND (NOT rule.needs_usage OR size.requests > 0)
        AND (rule.over_tokens_per_request IS NULL OR size.tokens > rule.over_tokens_per_request * size.requests)
    GROUP BY 1, 2, 3, 4, 5
)
SELECT
    used.usage_date,
    used.connection_id,
    used.account_id,
    used.api_key_id,
    used.model,
    used.tokens,
    used.requests,
    rule.category,
    rule.rule_id AS category_rule_id,
    used.policy_sha256
FROM first_rule AS used
JOIN policy.categories AS rule
    ON rule.policy_sha256 = used.policy_sha256 AND rule.position = used.position
