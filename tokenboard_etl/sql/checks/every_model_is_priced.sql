-- Every model that was used has a price for each of its tokens; an unknown price must not become a zero.
-- severity: warning
-- asset: usage.completions
-- owner: team:billing
-- Not blocking: invoices come from the provider's costs. Months that are invoiced are past mending.
SELECT connection_id, model, unpriced_reason, min(usage_date) AS since, max(usage_date) AS until, sum(requests) AS requests
FROM usage.completions
WHERE unpriced_reason IS NOT NULL
    AND strftime(usage_date, '%Y-%m') NOT IN (SELECT month FROM billing.closed_months WHERE tenant_id IS NULL)
GROUP BY connection_id, model, unpriced_reason
ORDER BY connection_id, model, unpriced_reason
