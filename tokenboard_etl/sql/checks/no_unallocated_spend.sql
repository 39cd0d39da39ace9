-- All spend belongs to a tenant.
-- severity: warning
-- asset: billing.charges
-- owner: team:tenants
-- Not an error: spend nobody is bound to is a row of its own until somebody decides.
SELECT provider, connection_id, account_id, min(usage_date) AS since, sum(cost_usd) AS cost_usd
FROM billing.charges
WHERE tenant_id = 'unallocated' AND cost_usd <> 0
GROUP BY provider, connection_id, account_id
ORDER BY since
