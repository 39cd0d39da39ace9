-- The price book explains what the provider bills, model by model, within one percent.
-- severity: warning
-- asset: billing.price_variance
-- owner: team:billing
-- Not blocking: invoices come from the provider's costs. A finding means the book's price is old, or the bill is odd.
SELECT month, connection_id, model, cost_usd, estimated_cost_usd, difference_usd
FROM billing.price_variance
WHERE verdict = 'price differs'
ORDER BY month, connection_id, model
