-- What was issued stands with its document: a line, a tax, a row of an appendix or an issue without one means that it was removed.
-- severity: blocking
-- asset: billing.invoices
-- owner: team:billing
WITH parts AS (
    SELECT 'billing.invoice_lines' AS part, invoice_number AS of_what FROM billing.invoice_lines
    UNION ALL
    SELECT 'billing.invoice_taxes', invoice_number FROM billing.invoice_taxes
    UNION ALL
    SELECT 'billing.invoice_appendix', invoice_number FROM billing.invoice_appendix
),
gone AS (
    SELECT part, of_what FROM parts
    WHERE NOT EXISTS (SELECT 1 FROM billing.documents AS document WHERE document.invoice_number = parts.of_what)
    UNION ALL
    SELECT 'billing.issues', 'issue ' || CAST(issue_no AS VARCHAR) FROM billing.issues AS issue
    WHERE NOT EXISTS (SELECT 1 FROM billing.documents AS document WHERE document.issue_no = issue.issue_no)
)
SELECT DISTINCT part, of_what FROM gone ORDER BY part, of_what
