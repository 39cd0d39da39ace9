-- The rows of an appendix by category, and those by job, add up to the usage lines of their invoice, exactly and as printed.
-- severity: blocking
-- asset: billing.invoices
-- owner: team:billing
WITH part AS (
    SELECT
        invoice_number, CASE WHEN part = 'category' THEN 'categories' ELSE 'jobs' END AS parts,
        sum(amount_minor) AS parts_minor, sum(billed_exact) AS parts_exact
    FROM billing.invoice_appendix
    GROUP BY 1, 2
),
whole AS (
    SELECT invoice_number, sum(amount_minor) AS usage_minor, sum(billed_exact) AS usage_exact
    FROM billing.invoice_lines
    WHERE kind = 'usage'
    GROUP BY invoice_number
)
SELECT
    part.invoice_number, part.parts, whole.usage_minor, part.parts_minor, whole.usage_exact, part.parts_exact
FROM part
LEFT JOIN whole ON whole.invoice_number = part.invoice_number
WHERE whole.usage_minor IS NULL OR whole.usage_minor <> part.parts_minor OR whole.usage_exact <> part.parts_exact
ORDER BY 1, 2
