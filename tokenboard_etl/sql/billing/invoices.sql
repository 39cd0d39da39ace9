-- Every issued document, and what became of it.
-- grain: document
-- key: invoice_number
-- owner: team:billing
-- The documents themselves (billing.documents) never change; what became of one is known from those issued after it.
-- column invoice_number: As printed; gapless per series.
-- column tenant_id: Who is billed.
-- column month: The UTC month billed, YYYY-MM; of a credit note that of the invoice it reverses.
-- column kind: invoice or credit_note.
-- column status: issued; partly_credited or credited (in full) where credit notes take it back.
-- column currency: ISO 4217 code.
-- column per_usd: Units of the currency for one US dollar on the day of issue.
-- column net_minor: Sum of the lines, in minor units of the currency; negative on credit notes.
-- column tax_minor: Tax, in minor units.
-- column total_minor: Net and tax, in minor units.
-- column credited_minor: What credit notes took back of the total, in minor units; not negative.
-- column issued_at: When the number was allotted.
-- column due_on: When payment is due, UTC; NULL where nothing is.
-- column buyer_name: The tenant's name on the day of issue.
-- column buyer_country: The tenant's country on the day of issue.
-- column buyer_email: The tenant's billing address on the day of issue.
-- column reason: Why an invoice was credited; NULL on documents that closing a month made.
-- column accepted_reason: Why the month was closed although something spoke against it; NULL if nothing did.
-- column accepted_by: Who accepted that.
-- column template: Template and version the document was rendered with.
-- column sha256: SHA-256 of the HTML document.
-- column policy_sha256: The version of the policy that priced it.
-- column corrects: The one invoice it corrects or reverses; NULL for none, or several, which its lines name.
SELECT
    document.invoice_number,
    document.tenant_id,
    document.month,
    document.kind,
    CASE
        WHEN reversal.invoice_number IS NULL THEN 'issued'
        WHEN document.net_minor + reversal.net_minor = 0 THEN 'credited'
        ELSE 'partly_credited'
    END AS status,
    document.currency,
    document.per_usd,
    document.net_minor,
    document.tax_minor,
    document.total_minor,
    CAST(coalesce(-reversal.total_minor, 0) AS BIGINT) AS credited_minor,
    document.issued_at,
    document.due_on,
    document.buyer_name,
    document.buyer_country,
    document.buyer_email,
    document.reason,
    document.accepted_reason,
    document.accepted_by,
    document.template,
    document.sha256,
    document.policy_sha256,
    document.corrects
FROM billing.documents AS document
LEFT JOIN staging.reversals AS reversal ON reversal.invoice_number = document.invoice_number
