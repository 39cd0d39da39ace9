-- No credit was used beyond what was granted, and none was given back that was not used.
-- severity: blocking
-- asset: billing.invoices
-- owner: team:billing
-- What is given back names what was granted when it was used; the credit may have been raised since.
WITH running AS (
    SELECT
        invoice_number, tenant_id, credit_id, granted, used,
        sum(used) OVER (
            PARTITION BY tenant_id, credit_id ORDER BY issue_no, invoice_number
            ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
        ) AS used_so_far
    FROM billing.credit_uses
)
SELECT tenant_id, credit_id, invoice_number, granted, used_so_far
FROM running
WHERE (used > 0 AND used_so_far > granted) OR used_so_far < 0
ORDER BY 1, 2
