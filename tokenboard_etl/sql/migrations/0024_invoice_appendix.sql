-- What an invoice's usage was for, by category and by job, issued with it; and which operations an issue could know.
CREATE TABLE billing.invoice_appendix (
    invoice_number VARCHAR NOT NULL,
    row_no INTEGER NOT NULL,
    part VARCHAR NOT NULL,
    key VARCHAR NOT NULL,
    title VARCHAR,
    cvs DECIMAL(38, 6),
    questions DECIMAL(38, 6),
    minutes DECIMAL(38, 6),
    billed_exact DECIMAL(38, 24) NOT NULL,
    amount_minor BIGINT NOT NULL
);
COMMENT ON TABLE billing.invoice_appendix IS 'One row per category, and per job, that an invoice''s usage lines were for; either adds up to those lines. Rows are only ever inserted.';
COMMENT ON COLUMN billing.invoice_appendix.invoice_number IS 'The document.';
COMMENT ON COLUMN billing.invoice_appendix.row_no IS 'Position, from 1; categories first, then jobs, either by size.';
COMMENT ON COLUMN billing.invoice_appendix.part IS 'category; job; no_job: operations that belong to no job; rest: usage that no operation explains.';
COMMENT ON COLUMN billing.invoice_appendix.key IS 'The category, or the application''s id of the job; empty for no_job and rest.';
COMMENT ON COLUMN billing.invoice_appendix.title IS 'The job''s title when the invoice was issued; NULL for none.';
COMMENT ON COLUMN billing.invoice_appendix.cvs IS 'CVs the applications told of by then; NULL for categories and the rest.';
COMMENT ON COLUMN billing.invoice_appendix.questions IS 'Questions, likewise.';
COMMENT ON COLUMN billing.invoice_appendix.minutes IS 'Minutes of video, likewise.';
COMMENT ON COLUMN billing.invoice_appendix.billed_exact IS 'The billed figure in USD before rounding, 24 decimals.';
COMMENT ON COLUMN billing.invoice_appendix.amount_minor IS 'Its part of the usage lines as printed, in minor units of the invoice''s currency.';

COMMENT ON COLUMN billing.issue_states.sha256 IS 'Its state (billing.kept_states). Of ops.operations, which stay where they are, a checksum over those known of the month.';

ALTER TABLE ops.operations ADD COLUMN after_issue INTEGER;
COMMENT ON COLUMN ops.operations.after_issue IS 'The newest issue (billing.issues) when it was loaded: later ones know it. NULL for what was there before this was kept.';
