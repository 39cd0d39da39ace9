-- A tenant's categories add up to its month, exactly, and so do its jobs and the rest.
-- severity: blocking
-- asset: billing.tenant_months
-- owner: team:billing
WITH part AS (
    SELECT 'categories' AS parts, month, tenant_id, sum(cost_usd) AS cost_usd, sum(billed_usd) AS billed_usd
    FROM billing.category_costs
    GROUP BY month, tenant_id
    UNION ALL
    SELECT 'jobs' AS parts, month, tenant_id, sum(total_cost_usd) AS cost_usd, sum(total_billed_usd) AS billed_usd
    FROM billing.job_costs
    GROUP BY month, tenant_id
),
whole AS (
    SELECT kind.parts, month, tenant_id, sum(cost_usd) AS cost_usd, sum(billed_usd) AS billed_usd
    FROM billing.tenant_months
    CROSS JOIN (VALUES ('categories'), ('jobs')) AS kind(parts)
    GROUP BY kind.parts, month, tenant_id
)
SELECT
    coalesce(whole.parts, part.parts) AS parts, coalesce(whole.month, part.month) AS month,
    coalesce(whole.tenant_id, part.tenant_id) AS tenant_id,
    whole.cost_usd, part.cost_usd AS parts_cost_usd, whole.billed_usd, part.billed_usd AS parts_billed_usd
FROM whole
FULL OUTER JOIN part
    ON part.parts = whole.parts AND part.month = whole.month AND part.tenant_id = whole.tenant_id
WHERE coalesce(whole.cost_usd, 0) <> coalesce(part.cost_usd, 0) OR coalesce(whole.billed_usd, 0) <> coalesce(part.billed_usd, 0)
ORDER BY 1, 2, 3
