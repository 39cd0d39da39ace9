-- Recomputes your invoices from the files beside this one. DuckDB runs it: cd to this folder, then `duckdb < check.sql`.

-- 1. The days behind each line that bills usage. What differs was changed by the provider after the invoice, and stands on
--    a later one as an adjustment.
WITH days AS (
    SELECT strftime(usage_date, '%Y-%m') AS month, provider, account_id, line_item, sum(billed_usd) AS billed_usd
    FROM read_parquet('days.parquet')
    GROUP BY ALL
),
lines AS (
    SELECT month, provider, account_id, line_item, sum(billed_usd) AS billed_usd
    FROM read_parquet('lines.parquet')
    WHERE kind = 'usage'
    GROUP BY ALL
)
SELECT
    lines.month, lines.provider, lines.account_id, lines.line_item,
    lines.billed_usd AS invoiced_usd,
    coalesce(days.billed_usd, 0) AS days_usd,
    coalesce(days.billed_usd, 0) - lines.billed_usd AS difference_usd
FROM lines
LEFT JOIN days USING (month, provider, account_id, line_item)
ORDER BY ALL;

-- 2. Every document: each line rounded half-up to minor units, once, then summed, then tax. Lines in another currency than
--    USD are taken as printed.
WITH lines AS (
    SELECT
        invoice_number,
        CASE currency WHEN 'USD' THEN CAST(round(billed_usd, 2) * 100 AS BIGINT) ELSE amount_minor END AS amount_minor
    FROM read_parquet('lines.parquet')
),
sums AS (
    SELECT invoice_number, CAST(sum(amount_minor) AS BIGINT) AS net_minor FROM lines GROUP BY invoice_number
)
SELECT
    documents.invoice_number, documents.month, documents.currency,
    documents.total_minor,
    coalesce(sums.net_minor, 0) + documents.tax_minor AS recomputed_minor,
    documents.total_minor = coalesce(sums.net_minor, 0) + documents.tax_minor AS agrees
FROM read_parquet('documents.parquet') AS documents
LEFT JOIN sums USING (invoice_number)
ORDER BY documents.invoice_number;
