-- What each tenant spends day by day, by name, and whether the day can still change.
-- grain: UTC day x tenant
-- owner: team:billing
-- Both providers together; billing.tenant_days tells them apart.
-- column usage_date: UTC day.
-- column tenant_id: Tenant; 'unallocated' where nobody is bound.
-- column tenant_name: The tenant's name; NULL for unallocated spend.
-- column is_final: Whether the costs of the day are settled or invoiced at all connections of ours.
-- column cost_usd: What the providers charge us; provider figures only.
-- column billed_usd: What the tenant is charged; provider figures only.
-- column margin_usd: billed_usd - cost_usd.
-- column estimated_billed_usd: What else is charged so far, as estimated; not in billed_usd.
WITH final AS (
    SELECT usage_date, bool_and(state IN ('settled', 'closed')) AS is_final
    FROM ops.source_days
    WHERE gates_closing
        AND connection_id NOT IN (SELECT connection_id FROM registry.connections WHERE tenant_id IS NOT NULL)
    GROUP BY usage_date
)
SELECT
    days.usage_date,
    days.tenant_id,
    max(tenants.name) AS tenant_name,
    coalesce(bool_and(final.is_final), false) AS is_final,
    sum(days.cost_usd) AS cost_usd,
    sum(days.billed_usd) AS billed_usd,
    sum(days.margin_usd) AS margin_usd,
    sum(days.estimated_billed_usd) AS estimated_billed_usd
FROM billing.tenant_days AS days
LEFT JOIN final ON final.usage_date = days.usage_date
LEFT JOIN registry.tenants AS tenants ON tenants.tenant_id = days.tenant_id
GROUP BY days.usage_date, days.tenant_id
