-- What was taken back of each invoice by credit notes that name it.
-- grain: invoice
-- key: invoice_number
-- owner: team:billing
-- column invoice_number: The invoice.
-- column net_minor: Sum of the reversing lines, in minor units; negative.
-- column total_minor: Total of the credit notes, tax included; negative.
WITH reversed AS (
    SELECT original_invoice, invoice_number, sum(amount_minor) AS net_minor
    FROM billing.invoice_lines
    WHERE kind = 'credit_note'
    GROUP BY original_invoice, invoice_number
)
SELECT
    reversed.original_invoice AS invoice_number,
    CAST(sum(reversed.net_minor) AS BIGINT) AS net_minor,
    CAST(sum(note.total_minor) AS BIGINT) AS total_minor
FROM reversed
JOIN billing.documents AS note ON note.invoice_number = reversed.invoice_number
GROUP BY reversed.original_invoice
