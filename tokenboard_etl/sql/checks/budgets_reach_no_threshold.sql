-- No tenant has reached a threshold of its budget for the running month, or will at its end.
-- severity: warning
-- asset: billing.budgets
-- owner: team:tenants
-- The month of yesterday counts too, so that its last day is told as well.
SELECT month, tenant_id, threshold_reached, threshold_forecast, spent_usd, forecast_usd, budget_usd
FROM billing.budgets
WHERE month >= (SELECT strftime(CAST(max(as_of) AS DATE) - 1, '%Y-%m') FROM ops.clock)
    AND spent_usd < budget_usd
    AND coalesce(threshold_reached, threshold_forecast) IS NOT NULL
ORDER BY month, tenant_id
