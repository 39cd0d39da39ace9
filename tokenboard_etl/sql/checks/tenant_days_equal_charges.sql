-- The tenants' days add up to the charges, day by day.
-- severity: blocking
-- asset: billing.tenant_days
-- owner: team:billing
WITH charged AS (
    SELECT usage_date, provider, sum(cost_usd) AS cost_usd, sum(billed_usd) AS billed_usd
    FROM billing.charges
    GROUP BY usage_date, provider
),
summed AS (
    SELECT
        usage_date, provider,
        sum(cost_usd + estimated_cost_usd) AS cost_usd,
        sum(billed_usd + estimated_billed_usd) AS billed_usd
    FROM billing.tenant_days
    GROUP BY usage_date, provider
)
SELECT charged.usage_date, charged.provider, charged.cost_usd, summed.cost_usd, charged.billed_usd, summed.billed_usd
FROM charged
FULL OUTER JOIN summed ON summed.usage_date = charged.usage_date AND summed.provider = charged.provider
WHERE charged.cost_usd IS DISTINCT FROM summed.cost_usd OR charged.billed_usd IS DISTINCT FROM summed.billed_usd
ORDER BY 1, 2
