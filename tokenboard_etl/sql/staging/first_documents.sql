-- The document that first billed a tenant for a month: its currency, exchange rate and taxes hold for all corrections.
-- grain: tenant x UTC month
-- key: tenant_id, service_month
-- owner: team:billing
-- column tenant_id: The tenant.
-- column service_month: The UTC month billed, YYYY-MM.
-- column invoice_number: The document.
-- column is_reversed: Whether all of it was taken back; the month is then settled and nothing of it is billed again.
WITH billed AS (
    SELECT
        document.tenant_id, line.service_month, document.invoice_number, document.net_minor, document.issue_no,
        document.series_number
    FROM billing.invoice_lines AS line
    JOIN billing.documents AS document ON document.invoice_number = line.invoice_number
    WHERE line.kind IN ('usage', 'fee', 'minimum', 'adjustment')
),
ranked AS (
    SELECT
        tenant_id, service_month, invoice_number, net_minor,
        row_number() OVER (
            PARTITION BY tenant_id, service_month ORDER BY issue_no, series_number, invoice_number
        ) AS place
    FROM billed
)
SELECT
    ranked.tenant_id,
    ranked.service_month,
    ranked.invoice_number,
    coalesce(ranked.net_minor + reversal.net_minor = 0, false) AS is_reversed
FROM ranked
LEFT JOIN staging.reversals AS reversal ON reversal.invoice_number = ranked.invoice_number
WHERE ranked.place = 1
