-- The lines of each document add up to its net amount, its taxes to its tax, both to its total; an invoice is not negative.
-- severity: blocking
-- asset: billing.invoices
-- owner: team:billing
WITH lines AS (
    SELECT invoice_number, sum(amount_minor) AS lines_minor FROM billing.invoice_lines GROUP BY invoice_number
),
taxes AS (
    SELECT invoice_number, sum(tax_minor) AS taxes_minor FROM billing.invoice_taxes GROUP BY invoice_number
)
SELECT
    document.invoice_number, document.kind, document.net_minor, coalesce(lines.lines_minor, 0) AS lines_minor,
    document.tax_minor, coalesce(taxes.taxes_minor, 0) AS taxes_minor, document.total_minor
FROM billing.documents AS document
LEFT JOIN lines ON lines.invoice_number = document.invoice_number
LEFT JOIN taxes ON taxes.invoice_number = document.invoice_number
WHERE document.net_minor <> coalesce(lines.lines_minor, 0)
    OR document.tax_minor <> coalesce(taxes.taxes_minor, 0)
    OR document.total_minor <> document.net_minor + document.tax_minor
    OR (document.kind = 'invoice' AND document.total_minor < 0)
ORDER BY 1
