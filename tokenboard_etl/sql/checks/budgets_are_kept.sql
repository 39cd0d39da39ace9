-- No tenant has spent its budget for the running month.
-- severity: alarm
-- asset: billing.budgets
-- owner: team:tenants
-- A budget of nothing is spent by the first cent. The month of yesterday counts too, so that its last day is told as well.
SELECT month, tenant_id, spent_usd, budget_usd
FROM billing.budgets
WHERE month >= (SELECT strftime(CAST(max(as_of) AS DATE) - 1, '%Y-%m') FROM ops.clock)
    AND spent_usd >= budget_usd
    AND spent_usd > 0
ORDER BY month, tenant_id
