-- Recomputes your invoices from the files beside this one. DuckDB runs it: cd to this folder, then `duckdb < check.sql`.

-- 1. The days behind what was invoiced for a month, corrections on later documents included. What differs was changed by
--    the provider since, and a later document corrects it, unless the month was credited by hand.
WITH days AS (
    SELECT strftime(usage_date, '%Y-%m') AS month, provider, account_id, line_item, sum(billed_usd) AS billed_usd
    FROM read_parquet('days.parquet')
    GROUP BY ALL
),
lines AS (
    SELECT service_month AS month, provider, account_id, line_item, sum(billed_usd) AS billed_usd
    FROM read_parquet('lines.parquet')
    WHERE kind IN ('usage', 'adjustment') AND provider <> ''
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

-- 2. Every document: each line of usage rounded half-up to cents, once, then summed; each tax on the sum of its lines,
--    rounded half-up, once. As printed are: lines in another currency than USD; lines that are no usage; corrections, which
--    are what a line comes to now less what it came to before, both rounded; and the tax that a reversal takes back, which
--    is down to the tax on what is left.
WITH lines AS (
    SELECT
        invoice_number, kind, taxes,
        CASE WHEN kind = 'usage' AND currency = 'USD' THEN CAST(round(billed_usd, 2) * 100 AS BIGINT) ELSE amount_minor END
            AS amount_minor
    FROM read_parquet('lines.parquet')
),
sums AS (
    SELECT invoice_number, CAST(sum(amount_minor) AS BIGINT) AS net_minor, bool_or(kind = 'credit_note') AS reverses
    FROM lines
    GROUP BY invoice_number
),
bases AS (
    SELECT invoice_number, tax, CAST(sum(amount_minor) AS BIGINT) AS base_minor
    FROM (SELECT invoice_number, amount_minor, unnest(taxes) AS tax FROM lines)
    GROUP BY invoice_number, tax
),
taxed AS (
    SELECT
        taxes.invoice_number,
        CAST(sum(CASE
            WHEN sums.reverses THEN taxes.tax_minor
            ELSE round(coalesce(bases.base_minor, 0) * taxes.percent * 0.01, 0)
        END) AS BIGINT) AS tax_minor
    FROM read_parquet('taxes.parquet') AS taxes
    LEFT JOIN sums USING (invoice_number)
    LEFT JOIN bases USING (invoice_number, tax)
    GROUP BY taxes.invoice_number
)
SELECT
    documents.invoice_number, documents.month, documents.currency,
    documents.total_minor,
    coalesce(sums.net_minor, 0) + coalesce(taxed.tax_minor, 0) AS recomputed_minor,
    documents.total_minor = coalesce(sums.net_minor, 0) + coalesce(taxed.tax_minor, 0) AS agrees
FROM read_parquet('documents.parquet') AS documents
LEFT JOIN sums USING (invoice_number)
LEFT JOIN taxed USING (invoice_number)
ORDER BY documents.invoice_number;
