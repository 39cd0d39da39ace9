-- Tenants + unallocated = provider, exactly, for every day and connection.
-- severity: blocking
-- asset: billing.reconciliation
-- owner: team:billing
SELECT usage_date, connection_id, provider_cost_usd, allocated_cost_usd, unallocated_cost_usd, difference_usd
FROM billing.reconciliation
WHERE difference_usd <> 0
ORDER BY usage_date, connection_id
