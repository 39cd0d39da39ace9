-- The lines of each document add up to its net amount, and net + tax to its total.
-- severity: blocking
-- asset: billing.invoices
-- owner: team:billing
SELECT invoices.invoice_number, invoices.net_minor, coalesce(sum(lines.amount_minor), 0) AS lines_minor, invoices.total_minor
FROM billing.invoices AS invoices
LEFT JOIN billing.invoice_lines AS lines ON lines.invoice_number = invoices.invoice_number
GROUP BY invoices.invoice_number, invoices.net_minor, invoices.tax_minor, invoices.total_minor
HAVING invoices.net_minor <> coalesce(sum(lines.amount_minor), 0)
    OR invoices.total_minor <> invoices.net_minor + invoices.tax_minor
ORDER BY 1
