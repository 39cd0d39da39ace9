-- The rest of what issued documents rest on, so that each can be derived again: small tables as they were then, what was
-- asked for, and checksums over all of it.
CREATE TABLE billing.kept_states (
    sha256 VARCHAR NOT NULL,
    table_name VARCHAR NOT NULL,
    content VARCHAR NOT NULL
);
COMMENT ON TABLE billing.kept_states IS 'One row per state of a table that documents were issued under. Rows are only ever inserted.';
COMMENT ON COLUMN billing.kept_states.sha256 IS 'SHA-256 of the content.';
COMMENT ON COLUMN billing.kept_states.table_name IS 'The table, schema.table.';
COMMENT ON COLUMN billing.kept_states.content IS 'Its rows then, or those that matter, as JSON: columns, and rows of texts.';

CREATE TABLE billing.issue_states (
    issue_no INTEGER NOT NULL,
    table_name VARCHAR NOT NULL,
    sha256 VARCHAR NOT NULL
);
COMMENT ON TABLE billing.issue_states IS 'One row per issue and table whose state was kept for it. Rows are only ever inserted.';
COMMENT ON COLUMN billing.issue_states.issue_no IS 'The transaction (billing.issues).';
COMMENT ON COLUMN billing.issue_states.table_name IS 'The table, schema.table.';
COMMENT ON COLUMN billing.issue_states.sha256 IS 'Its state (billing.kept_states).';

ALTER TABLE billing.issues ADD COLUMN request VARCHAR;
COMMENT ON COLUMN billing.issues.request IS 'What was asked for, as JSON: the tenant and what was accepted, or the invoice and what of it to credit; NULL before this was kept.';
ALTER TABLE billing.issues ADD COLUMN evidence_sha256 VARCHAR;
COMMENT ON COLUMN billing.issues.evidence_sha256 IS 'SHA-256 over this row, its source days and its states; NULL before these were kept.';
ALTER TABLE billing.documents ADD COLUMN template_sha256 VARCHAR;
COMMENT ON COLUMN billing.documents.template_sha256 IS 'SHA-256 of that template; NULL before this was kept.';
ALTER TABLE billing.documents ADD COLUMN rows_sha256 VARCHAR;
COMMENT ON COLUMN billing.documents.rows_sha256 IS 'SHA-256 over everything the document says, with its lines, taxes and uses of credits; NULL before this was kept.';

COMMENT ON TABLE billing.issue_source_days IS 'One row per day that documents rest on and load its figures are from; a day with keys that were gone has several. Rows are only ever inserted.';
COMMENT ON COLUMN billing.issue_source_days.report IS 'The report: costs or analytics, which gate closing, or usage that decides categories.';
COMMENT ON COLUMN billing.issue_source_days.load_id IS 'The newest load of the day, or the one that keys which were gone are known from.';
