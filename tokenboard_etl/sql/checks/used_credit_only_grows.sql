-- OpenRouter's total of credits used does not fall.
-- severity: warning
-- asset: credits.balances
-- owner: team:billing
-- It counts what was ever used; a fall is a refund, or a key of another account under the same connection.
SELECT snapshot_date, connection_id, used_usd, used_delta_usd, span_days
FROM credits.balances
WHERE provider = 'openrouter' AND used_delta_usd < 0
ORDER BY 1, 2
