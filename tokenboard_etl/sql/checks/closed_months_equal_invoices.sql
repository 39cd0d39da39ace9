-- What closed months come to now is what was invoiced for them.
-- severity: warning
-- asset: billing.corrections_due
-- owner: team:billing
-- A difference is spend that was restated, or bound to a tenant, after its month was closed: it stands on the tenant's
-- next invoice, exactly once.
SELECT month, tenant_id, sum(rated_usd) AS rated_usd, sum(invoiced_usd) AS invoiced_usd, sum(due_usd) AS due_usd
FROM billing.corrections_due
GROUP BY month, tenant_id
ORDER BY 1, 2
