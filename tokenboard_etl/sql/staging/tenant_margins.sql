-- For each tenant the margin rules that can price its spend, cut where any rule of the version begins or ends.
-- grain: version of the policy x tenant x period x rule
-- key: policy_sha256, tenant_id, period_start, rule_id
-- owner: team:billing
-- Within a period the same rules hold on every day, so that one is chosen per period and not per row.
-- column policy_sha256: The version of the policy.
-- column tenant_id: The tenant.
-- column period_start: First UTC day.
-- column period_end: UTC day after the last one; NULL: no end.
-- column rule_id: A rule that holds in the period and matches the tenant.
-- column multiplier: Its sell price per dollar of cost.
-- column precedence: The highest goes first; 0 for the environment's defaults.
-- column provider_like: Pattern of the provider for LIKE; NULL matches all. The others likewise.
-- column model_like: Pattern of the model.
-- column line_item_like: Pattern of the line item.
-- column category_like: Pattern of the category.
WITH rules AS (
    SELECT
        policy_sha256, rule_id, multiplier, precedence, valid_from, valid_until, tenant_like, provider_like, model_like,
        line_item_like, category_like
    FROM policy.margins
    UNION ALL
    SELECT
        versions.policy_sha256, defaults.rule_id, defaults.multiplier, 0 AS precedence, defaults.valid_from,
        defaults.valid_until, NULL AS tenant_like, defaults.provider AS provider_like, NULL AS model_like,
        NULL AS line_item_like, NULL AS category_like
    FROM policy.versions AS versions
    CROSS JOIN policy.default_margins AS defaults
),
boundaries AS (
    SELECT policy_sha256, valid_from AS boundary FROM rules
    UNION
    SELECT policy_sha256, valid_until AS boundary FROM rules WHERE valid_until IS NOT NULL
),
periods AS (
    SELECT
        policy_sha256,
        boundary AS period_start,
        lead(boundary) OVER (PARTITION BY policy_sha256 ORDER BY boundary) AS period_end
    FROM boundaries
),
tenants AS (
    SELECT DISTINCT tenant_id FROM registry.accounts
)
SELECT
    rules.policy_sha256, tenants.tenant_id, periods.period_start, periods.period_end, rules.rule_id, rules.multiplier,
    rules.precedence, rules.provider_like, rules.model_like, rules.line_item_like, rules.category_like
FROM rules
JOIN tenants ON rules.tenant_like IS NULL OR tenants.tenant_id LIKE rules.tenant_like ESCAPE '!'
JOIN periods
    ON periods.policy_sha256 = rules.policy_sha256
    AND rules.valid_from <= periods.period_start
    AND (rules.valid_until IS NULL OR periods.period_start < rules.valid_until)
