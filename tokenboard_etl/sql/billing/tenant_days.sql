-- Cost, billed amount and margin per tenant, day and provider.
-- grain: UTC day x tenant x provider
-- key: usage_date, tenant_id, provider
-- month: usage_date
-- owner: team:billing
-- column usage_date: UTC day.
-- column tenant_id: Tenant, or 'unallocated'.
-- column provider: openai or openrouter.
-- column cost_usd: What the provider charges us; provider figures only.
-- column billed_usd: What the tenant is charged; provider figures only.
-- column margin_usd: billed_usd - cost_usd.
-- column estimated_cost_usd: Cost that is only estimated so far, not in cost_usd.
-- column estimated_billed_usd: The same, as billed.
SELECT
    usage_date,
    tenant_id,
    provider,
    coalesce(sum(cost_usd) FILTER (source = 'provider'), 0) AS cost_usd,
    coalesce(sum(billed_usd) FILTER (source = 'provider'), 0) AS billed_usd,
    coalesce(sum(billed_usd) FILTER (source = 'provider'), 0) - coalesce(sum(cost_usd) FILTER (source = 'provider'), 0) AS margin_usd,
    coalesce(sum(cost_usd) FILTER (source <> 'provider'), 0) AS estimated_cost_usd,
    coalesce(sum(billed_usd) FILTER (source <> 'provider'), 0) AS estimated_billed_usd
FROM billing.charges
GROUP BY usage_date, tenant_id, provider
