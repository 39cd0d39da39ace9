-- Which margin rule prices what: for everything a tenant used in a month, the rule that goes first, by period.
-- grain: UTC month x tenant x provider x model x line item x category x first day
-- key: month, tenant_id, provider, model, line_item, category, valid_from
-- month: month
-- owner: team:billing
-- Rules that tie would both stand here; the policy's loader refuses them, and the key of this table proves it.
-- column month: UTC month, YYYY-MM.
-- column tenant_id: Tenant; unallocated spend has no price.
-- column provider: openai or openrouter.
-- column model: Model; NULL for items that are no model.
-- column line_item: The provider's line item or model.
-- column category: Kind of operation.
-- column valid_from: First UTC day; in the month.
-- column valid_until: UTC day after the last one.
-- column margin_rule_id: The rule.
-- column multiplier: Its sell price per dollar of cost.
-- column policy_sha256: The version of the policy the rule is chosen under.
WITH used AS (
    SELECT DISTINCT
        strftime(usage_date, '%Y-%m') AS month, tenant_id, provider, model, line_item, category, policy_sha256
    FROM billing.kinds_of_spend
),
ranked AS (
    SELECT
        used.month, used.tenant_id, used.provider, used.model, used.line_item, used.category, used.policy_sha256,
        rule.period_start, rule.period_end, rule.rule_id, rule.multiplier,
        rank() OVER (
            PARTITION BY used.month, used.tenant_id, used.provider, used.model, used.line_item, used.category,
                rule.period_start
            ORDER BY rule.precedence DESC
        ) AS place
    FROM used
    JOIN staging.tenant_margins AS rule
        ON rule.policy_sha256 = used.policy_sha256
        AND rule.tenant_id = used.tenant_id
        AND rule.period_start < CAST(used.month || '-01' AS DATE) + INTERVAL 1 MONTH
        AND (rule.period_end IS NULL OR rule.period_end > CAST(used.month || '-01' AS DATE))
        AND (rule.provider_like IS NULL OR used.provider LIKE rule.provider_like ESCAPE '!')
        AND (rule.model_like IS NULL OR used.model LIKE rule.model_like ESCAPE '!')
        AND (rule.line_item_like IS NULL OR used.line_item LIKE rule.line_item_like ESCAPE '!')
        AND (rule.category_like IS NULL OR used.category LIKE rule.category_like ESCAPE '!')
)
SELECT
    month,
    tenant_id,
    provider,
    model,
    line_item,
    category,
    greatest(period_start, CAST(month || '-01' AS DATE)) AS valid_from,
    CAST(least(coalesce(period_end, CAST(month || '-01' AS DATE) + INTERVAL 1 MONTH),
        CAST(month || '-01' AS DATE) + INTERVAL 1 MONTH) AS DATE) AS valid_until,
    rule_id AS margin_rule_id,
    multiplier,
    policy_sha256
FROM ranked
WHERE place = 1
