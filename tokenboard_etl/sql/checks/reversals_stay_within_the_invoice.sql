-- Credit notes never take back more than an invoice came to.
-- severity: blocking
-- asset: billing.invoices
-- owner: team:billing
SELECT invoice_number, total_minor, credited_minor
FROM billing.invoices
WHERE kind = 'invoice' AND credited_minor > total_minor
ORDER BY 1
