-- Cost, billed amount and margin per tenant, month and provider, and whether the month is final.
-- grain: UTC month x tenant x provider
-- key: month, tenant_id, provider
-- month: month
-- owner: team:billing
-- column month: UTC month, YYYY-MM.
-- column tenant_id: Tenant, or 'unallocated'.
-- column provider: openai or openrouter.
-- column cost_usd: What the provider charges us; provider figures only.
-- column billed_usd: What the tenant is charged; provider figures only.
-- column margin_usd: billed_usd - cost_usd.
-- column state: open, settled (all days of all connections of the provider are final) or closed (invoiced).
WITH days AS (
    SELECT
        provider, connection_id, strftime(usage_date, '%Y-%m') AS month,
        count(*) FILTER (state IN ('settled', 'closed')) AS final_days
    FROM ops.source_days
    WHERE gates_closing
    GROUP BY 1, 2, 3
),
complete AS (
    SELECT provider, month, bool_and(final_days = date_diff('day', CAST(month || '-01' AS DATE), CAST(month || '-01' AS DATE) + INTERVAL 1 MONTH)) AS settled
    FROM days
    GROUP BY provider, month
),
totals AS (
    SELECT
        strftime(usage_date, '%Y-%m') AS month, tenant_id, provider,
        sum(cost_usd) AS cost_usd, sum(billed_usd) AS billed_usd, sum(margin_usd) AS margin_usd
    FROM billing.tenant_days
    GROUP BY 1, 2, 3
)
SELECT
    totals.month,
    totals.tenant_id,
    totals.provider,
    totals.cost_usd,
    totals.billed_usd,
    totals.margin_usd,
    CASE
        WHEN closed.month IS NOT NULL THEN 'closed'
        WHEN complete.settled THEN 'settled'
        ELSE 'open'
    END AS state
FROM totals
LEFT JOIN complete ON complete.provider = totals.provider AND complete.month = totals.month
LEFT JOIN (SELECT DISTINCT month FROM billing.closed_months WHERE tenant_id IS NULL) AS closed ON closed.month = totals.month
