-- Issued documents as they are issued: numbers in a series, exchange rate, taxes, credits, corrections, and what they
-- rest on. billing.invoices, with the status of each, is derived from them.
CREATE TABLE billing.issues (
    issue_no INTEGER NOT NULL,
    month VARCHAR NOT NULL,
    issued_at TIMESTAMPTZ NOT NULL,
    policy_sha256 VARCHAR NOT NULL,
    registry_sha256 VARCHAR NOT NULL,
    prices_sha256 VARCHAR NOT NULL,
    default_margins VARCHAR NOT NULL
);
COMMENT ON TABLE billing.issues IS 'One row per transaction that issued documents, with what all of them rest on. Rows are only ever inserted.';
COMMENT ON COLUMN billing.issues.issue_no IS 'Position, from 1.';
COMMENT ON COLUMN billing.issues.month IS 'The UTC month billed or credited, YYYY-MM.';
COMMENT ON COLUMN billing.issues.issued_at IS 'When.';
COMMENT ON COLUMN billing.issues.policy_sha256 IS 'The version of the policy in use.';
COMMENT ON COLUMN billing.issues.registry_sha256 IS 'SHA-256 over all bindings then known (registry.binding_versions).';
COMMENT ON COLUMN billing.issues.prices_sha256 IS 'SHA-256 over the price book as it was then.';
COMMENT ON COLUMN billing.issues.default_margins IS 'The default margins then known, as JSON: rule, provider, multiplier, first day, day after the last.';

CREATE TABLE registry.binding_versions (
    registry_sha256 VARCHAR NOT NULL,
    tenant_id VARCHAR NOT NULL,
    provider VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    account_id VARCHAR NOT NULL,
    valid_from DATE NOT NULL,
    valid_until DATE,
    bound_at TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE registry.binding_versions IS 'One row per binding of each state of registry.accounts that documents were issued under. Rows are only ever inserted.';
COMMENT ON COLUMN registry.binding_versions.registry_sha256 IS 'SHA-256 over all bindings of that state; billing.issues names it.';
COMMENT ON COLUMN registry.binding_versions.tenant_id IS 'The tenant who pays.';
COMMENT ON COLUMN registry.binding_versions.provider IS 'openai or openrouter.';
COMMENT ON COLUMN registry.binding_versions.kind IS 'project, api_key or key.';
COMMENT ON COLUMN registry.binding_versions.account_id IS 'The provider''s id.';
COMMENT ON COLUMN registry.binding_versions.valid_from IS 'First UTC day.';
COMMENT ON COLUMN registry.binding_versions.valid_until IS 'UTC day after the last one; NULL while it lasts.';
COMMENT ON COLUMN registry.binding_versions.bound_at IS 'When the binding was made.';

CREATE TABLE billing.issue_source_days (
    issue_no INTEGER NOT NULL,
    connection_id VARCHAR NOT NULL,
    report VARCHAR NOT NULL,
    usage_date DATE NOT NULL,
    state VARCHAR NOT NULL,
    load_id VARCHAR NOT NULL,
    sha256 VARCHAR NOT NULL
);
COMMENT ON TABLE billing.issue_source_days IS 'One row per day that documents rest on, with the load its figures are from. Rows are only ever inserted.';
COMMENT ON COLUMN billing.issue_source_days.issue_no IS 'The transaction (billing.issues).';
COMMENT ON COLUMN billing.issue_source_days.connection_id IS 'The provider account.';
COMMENT ON COLUMN billing.issue_source_days.report IS 'The report that gates closing: costs or analytics.';
COMMENT ON COLUMN billing.issue_source_days.usage_date IS 'UTC day, of the month billed or of one that is corrected.';
COMMENT ON COLUMN billing.issue_source_days.state IS 'Its state then (ops.source_days).';
COMMENT ON COLUMN billing.issue_source_days.load_id IS 'The newest load of the day.';
COMMENT ON COLUMN billing.issue_source_days.sha256 IS 'Checksum of the bodies of that load.';

CREATE TABLE billing.documents (
    invoice_number VARCHAR NOT NULL,
    series VARCHAR NOT NULL,
    series_number INTEGER NOT NULL,
    issue_no INTEGER NOT NULL,
    tenant_id VARCHAR NOT NULL,
    month VARCHAR NOT NULL,
    kind VARCHAR NOT NULL,
    currency VARCHAR NOT NULL,
    per_usd DECIMAL(38, 18) NOT NULL,
    net_minor BIGINT NOT NULL,
    tax_minor BIGINT NOT NULL,
    total_minor BIGINT NOT NULL,
    issued_at TIMESTAMPTZ NOT NULL,
    due_on DATE,
    seller VARCHAR,
    buyer_name VARCHAR NOT NULL,
    buyer_country VARCHAR,
    buyer_email VARCHAR,
    terms VARCHAR,
    reason VARCHAR,
    accepted_reason VARCHAR,
    accepted_by VARCHAR,
    accepted_because VARCHAR,
    template VARCHAR NOT NULL,
    sha256 VARCHAR NOT NULL,
    policy_sha256 VARCHAR NOT NULL,
    corrects VARCHAR
);
INSERT INTO billing.issues
SELECT row_number() OVER (ORDER BY issued_at, month), month, issued_at, policy_sha256, '', '', '[]'
FROM (SELECT DISTINCT issued_at, month, policy_sha256 FROM billing.invoices);
INSERT INTO billing.documents
SELECT
    invoices.invoice_number, 'INV-' || split_part(invoices.invoice_number, '-', 2) || '-#',
    CAST(split_part(invoices.invoice_number, '-', 3) AS INTEGER), issues.issue_no, invoices.tenant_id, invoices.month,
    invoices.kind, invoices.currency, 1, invoices.net_minor, invoices.tax_minor, invoices.total_minor,
    invoices.issued_at, NULL, NULL, invoices.buyer_name, invoices.buyer_country, invoices.buyer_email, NULL, NULL,
    invoices.accepted_reason, NULL, NULL, invoices.template, invoices.sha256, invoices.policy_sha256, invoices.corrects
FROM billing.invoices AS invoices
JOIN billing.issues AS issues
    ON issues.issued_at = invoices.issued_at
    AND issues.month = invoices.month
    AND issues.policy_sha256 = invoices.policy_sha256;
DROP TABLE billing.invoices;
COMMENT ON TABLE billing.documents IS 'One row per issued document. Rows are only ever inserted; billing.invoices adds what became of each.';
COMMENT ON COLUMN billing.documents.invoice_number IS 'As printed.';
COMMENT ON COLUMN billing.documents.series IS 'The policy''s number format with the year of issue, # in place of the number.';
COMMENT ON COLUMN billing.documents.series_number IS 'Position in the series, from 1 and without a gap; invoices and credit notes share it.';
COMMENT ON COLUMN billing.documents.issue_no IS 'The transaction that issued it (billing.issues).';
COMMENT ON COLUMN billing.documents.tenant_id IS 'Who is billed.';
COMMENT ON COLUMN billing.documents.month IS 'The UTC month billed, YYYY-MM; of a credit note that of the invoice it reverses.';
COMMENT ON COLUMN billing.documents.kind IS 'invoice, or credit_note: a negative total, or the reversal of an invoice.';
COMMENT ON COLUMN billing.documents.currency IS 'ISO 4217 code.';
COMMENT ON COLUMN billing.documents.per_usd IS 'Units of the currency for one US dollar on the day of issue.';
COMMENT ON COLUMN billing.documents.net_minor IS 'Sum of the lines, in minor units of the currency; negative on credit notes.';
COMMENT ON COLUMN billing.documents.tax_minor IS 'Tax, in minor units.';
COMMENT ON COLUMN billing.documents.total_minor IS 'Net and tax, in minor units.';
COMMENT ON COLUMN billing.documents.issued_at IS 'When the number was allotted.';
COMMENT ON COLUMN billing.documents.due_on IS 'When payment is due, UTC; NULL where nothing is.';
COMMENT ON COLUMN billing.documents.seller IS 'Who invoices, as printed, in JSON; NULL where the policy names nobody.';
COMMENT ON COLUMN billing.documents.buyer_name IS 'The tenant''s name on the day of issue.';
COMMENT ON COLUMN billing.documents.buyer_country IS 'The tenant''s country on the day of issue.';
COMMENT ON COLUMN billing.documents.buyer_email IS 'The tenant''s billing address on the day of issue.';
COMMENT ON COLUMN billing.documents.terms IS 'The policy''s terms, as printed.';
COMMENT ON COLUMN billing.documents.reason IS 'Why an invoice was credited; NULL on documents that closing a month made.';
COMMENT ON COLUMN billing.documents.accepted_reason IS 'Why the month was closed although something spoke against it; NULL if nothing did.';
COMMENT ON COLUMN billing.documents.accepted_by IS 'Who accepted that.';
COMMENT ON COLUMN billing.documents.accepted_because IS 'What spoke against it. Not printed.';
COMMENT ON COLUMN billing.documents.template IS 'Template and version the document was rendered with.';
COMMENT ON COLUMN billing.documents.sha256 IS 'SHA-256 of the HTML document.';
COMMENT ON COLUMN billing.documents.policy_sha256 IS 'The version of the policy that priced it.';
COMMENT ON COLUMN billing.documents.corrects IS 'The one invoice it corrects or reverses; NULL for none, or several, which its lines name.';

ALTER TABLE billing.invoice_lines ADD COLUMN service_month VARCHAR;
ALTER TABLE billing.invoice_lines ADD COLUMN original_invoice VARCHAR;
ALTER TABLE billing.invoice_lines ADD COLUMN original_line INTEGER;
ALTER TABLE billing.invoice_lines ADD COLUMN taxes VARCHAR[];
UPDATE billing.invoice_lines SET taxes = [], service_month = (
    SELECT max(month) FROM billing.documents WHERE documents.invoice_number = invoice_lines.invoice_number
);
COMMENT ON COLUMN billing.invoice_lines.kind IS 'usage, fee, minimum (what is missing to the commitment), adjustment (of a closed month), credit (money the tenant had in advance) or credit_note (reversal).';
COMMENT ON COLUMN billing.invoice_lines.provider IS 'openai or openrouter; empty for lines that are no usage.';
COMMENT ON COLUMN billing.invoice_lines.account_id IS 'The provider''s id of the account that spent; empty for lines that are no usage.';
COMMENT ON COLUMN billing.invoice_lines.account_name IS 'Its name when the invoice was issued.';
COMMENT ON COLUMN billing.invoice_lines.line_item IS 'The provider''s line item or model; empty for lines that are no usage.';
COMMENT ON COLUMN billing.invoice_lines.margin_rule_id IS 'The rule of the policy that set the amount: margin, fee, minimum or credit; empty where an amount was credited by hand.';
COMMENT ON COLUMN billing.invoice_lines.service_month IS 'The UTC month the line is for, YYYY-MM; of an adjustment the one that is corrected.';
COMMENT ON COLUMN billing.invoice_lines.original_invoice IS 'The document that an adjustment corrects or a credit note reverses; NULL for all others.';
COMMENT ON COLUMN billing.invoice_lines.original_line IS 'Its line; NULL where it has none, as spend that was bound later.';
COMMENT ON COLUMN billing.invoice_lines.taxes IS 'The taxes on it (billing.invoice_taxes.tax).';

CREATE TABLE billing.invoice_taxes (
    invoice_number VARCHAR NOT NULL,
    tax VARCHAR NOT NULL,
    tax_rule_id VARCHAR NOT NULL,
    name VARCHAR NOT NULL,
    percent DECIMAL(9, 4) NOT NULL,
    note VARCHAR,
    base_minor BIGINT NOT NULL,
    tax_minor BIGINT NOT NULL
);
COMMENT ON TABLE billing.invoice_taxes IS 'One row per issued document and tax rate on it. Rows are only ever inserted.';
COMMENT ON COLUMN billing.invoice_taxes.invoice_number IS 'The document.';
COMMENT ON COLUMN billing.invoice_taxes.tax IS 'Name and rate, as its lines call it.';
COMMENT ON COLUMN billing.invoice_taxes.tax_rule_id IS 'The rule of the policy.';
COMMENT ON COLUMN billing.invoice_taxes.name IS 'The tax.';
COMMENT ON COLUMN billing.invoice_taxes.percent IS 'Its rate: 19 is 19 %.';
COMMENT ON COLUMN billing.invoice_taxes.note IS 'Printed below, such as the reason of a zero rate.';
COMMENT ON COLUMN billing.invoice_taxes.base_minor IS 'Sum of the lines it is on, in minor units.';
COMMENT ON COLUMN billing.invoice_taxes.tax_minor IS 'The tax on that sum, rounded once, half-up.';

CREATE TABLE billing.credit_uses (
    invoice_number VARCHAR NOT NULL,
    issue_no INTEGER NOT NULL,
    tenant_id VARCHAR NOT NULL,
    credit_id VARCHAR NOT NULL,
    currency VARCHAR NOT NULL,
    granted DECIMAL(38, 18) NOT NULL,
    used DECIMAL(38, 18) NOT NULL,
    amount_minor BIGINT NOT NULL
);
COMMENT ON TABLE billing.credit_uses IS 'One row per use of a credit, or of its return when the invoice was reversed. Rows are only ever inserted.';
COMMENT ON COLUMN billing.credit_uses.invoice_number IS 'The document it was used on, or the credit note that gave it back.';
COMMENT ON COLUMN billing.credit_uses.issue_no IS 'The transaction (billing.issues).';
COMMENT ON COLUMN billing.credit_uses.tenant_id IS 'Whose credit it is.';
COMMENT ON COLUMN billing.credit_uses.credit_id IS 'The credit''s id in the policy.';
COMMENT ON COLUMN billing.credit_uses.currency IS 'ISO 4217 code of the credit.';
COMMENT ON COLUMN billing.credit_uses.granted IS 'What the policy then granted in all, in that currency.';
COMMENT ON COLUMN billing.credit_uses.used IS 'What this document used of it, in that currency; negative where it was given back.';
COMMENT ON COLUMN billing.credit_uses.amount_minor IS 'The same in minor units of the document''s currency.';

ALTER TABLE billing.closed_months ADD COLUMN accepted_by VARCHAR;
COMMENT ON COLUMN billing.closed_months.accepted_by IS 'Who accepted that; NULL if nobody had to.';
