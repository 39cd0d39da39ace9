-- What OpenRouter's keys add up to is never more than the account's own total.
-- severity: blocking
-- asset: billing.charges
-- owner: team:billing
-- Both are binary doubles; 1e-9 USD a row is noise, more means a cost was counted twice.
SELECT usage_date, connection_id, line_item, cost_usd
FROM billing.charges
WHERE provider = 'openrouter' AND account_id = '' AND cost_usd < -0.000000100
ORDER BY 1, 2
