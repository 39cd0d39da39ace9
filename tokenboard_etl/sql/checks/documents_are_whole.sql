-- What was issued, appendices too, stands with its document, and each document of a month with the closing that priced it.
-- severity: blocking
-- asset: billing.invoices
-- owner: team:billing
-- A line, a tax or an issue without a document, or a document without its issue, means that it was removed. A month whose
-- closing was removed or altered would be rated again under another policy. Documents with a reason are credit notes by
-- hand, which close nothing.
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
    UNION ALL
    SELECT 'billing.issues', invoice_number FROM billing.documents AS document
    WHERE NOT EXISTS (SELECT 1 FROM billing.issues AS issue WHERE issue.issue_no = document.issue_no)
    UNION ALL
    SELECT 'billing.closed_months', document.month || ' of ' || document.tenant_id FROM billing.documents AS document
    WHERE document.reason IS NULL AND NOT EXISTS (
        SELECT 1 FROM billing.closed_months AS closed
        WHERE closed.month = document.month
            AND coalesce(closed.tenant_id, document.tenant_id) = document.tenant_id
            AND closed.policy_sha256 = document.policy_sha256
    )
)
SELECT DISTINCT part, of_what FROM gone ORDER BY part, of_what
