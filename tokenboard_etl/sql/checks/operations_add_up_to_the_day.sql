-- What a tenant's operations cost and the rest add up to the tenant's day, exactly.
-- severity: blocking
-- asset: billing.operation_costs
-- owner: team:billing
WITH part AS (
    SELECT usage_date, tenant_id, sum(cost_usd) AS cost_usd, sum(billed_usd) AS billed_usd
    FROM billing.operation_costs
    GROUP BY usage_date, tenant_id
),
whole AS (
    SELECT usage_date, tenant_id, sum(cost_usd) AS cost_usd, sum(billed_usd) AS billed_usd
    FROM billing.tenant_days
    GROUP BY usage_date, tenant_id
)
SELECT
    coalesce(whole.usage_date, part.usage_date) AS usage_date, coalesce(whole.tenant_id, part.tenant_id) AS tenant_id,
    whole.cost_usd, part.cost_usd AS parts_cost_usd, whole.billed_usd, part.billed_usd AS parts_billed_usd
FROM whole
FULL OUTER JOIN part ON part.usage_date = whole.usage_date AND part.tenant_id = whole.tenant_id
WHERE coalesce(whole.cost_usd, 0) <> coalesce(part.cost_usd, 0) OR coalesce(whole.billed_usd, 0) <> coalesce(part.billed_usd, 0)
ORDER BY 1, 2
