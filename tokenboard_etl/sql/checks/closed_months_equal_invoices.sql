-- What a closed month's charges come to is what was invoiced for it.
-- severity: warning
-- asset: billing.tenant_months
-- owner: team:billing
-- A difference is spend that was restated, or bound to a tenant, after its month was closed: it waits for a correction.
WITH rated AS (
    SELECT month, tenant_id, sum(billed_usd) AS billed_usd
    FROM billing.tenant_months
    WHERE state = 'closed' AND tenant_id <> 'unallocated'
    GROUP BY month, tenant_id
),
invoiced AS (
    SELECT invoices.month, invoices.tenant_id, sum(lines.billed_exact) AS billed_usd
    FROM billing.invoices AS invoices
    JOIN billing.invoice_lines AS lines ON lines.invoice_number = invoices.invoice_number
    GROUP BY invoices.month, invoices.tenant_id
)
SELECT rated.month, rated.tenant_id, rated.billed_usd AS rated_usd, coalesce(invoiced.billed_usd, 0) AS invoiced_usd
FROM rated
LEFT JOIN invoiced ON invoiced.month = rated.month AND invoiced.tenant_id = rated.tenant_id
WHERE rated.billed_usd <> coalesce(invoiced.billed_usd, 0)
ORDER BY 1, 2
