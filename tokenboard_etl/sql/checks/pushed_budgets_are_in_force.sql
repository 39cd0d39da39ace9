-- The limits at the providers are the ones that pushed budgets come to; `tokenboard budgets push` sets them.
-- severity: warning
-- asset: billing.budget_limits
-- owner: team:tenants
SELECT tenant_id, provider, account_id, wanted_usd, actual_usd, actual_interval, state
FROM billing.budget_limits
WHERE state <> 'in force' AND state <> 'no limit'
ORDER BY tenant_id, provider, account_id
