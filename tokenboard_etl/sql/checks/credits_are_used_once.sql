-- No credit was used beyond what was granted or by no document of its tenant, and none was given back that was not used.
-- severity: blocking
-- asset: billing.invoices
-- owner: team:billing
-- What is given back names what was granted when it was used; the credit may have been raised since.
WITH running AS (
    SELECT
        invoice_number, issue_no, tenant_id, credit_id, granted, used,
        sum(used) OVER (
            PARTITION BY tenant_id, credit_id ORDER BY issue_no, invoice_number
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS used_so_far
    FROM billing.credit_uses
)
SELECT running.tenant_id, running.credit_id, running.invoice_number, running.granted, running.used_so_far
FROM running
LEFT JOIN billing.documents AS document
    ON document.invoice_number = running.invoice_number
    AND document.issue_no = running.issue_no
    AND document.tenant_id = running.tenant_id
WHERE (running.used > 0 AND running.used_so_far > running.granted)
    OR running.used_so_far < 0
    OR document.invoice_number IS NULL
ORDER BY 1, 2
