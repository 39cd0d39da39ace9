-- Invoices name a key that is another tenant's than its project by the key. Documents issued before named the project.
CREATE TABLE billing.former_lines (closed_until TIMESTAMPTZ NOT NULL);
COMMENT ON TABLE billing.former_lines IS 'At most one row: where documents named the project of a key that alone was the tenant''s. In months closed by then they still do, so that nothing is corrected that was not wrong.';
COMMENT ON COLUMN billing.former_lines.closed_until IS 'When the last month was closed before documents named the key.';
DROP VIEW IF EXISTS staging.account_names;
INSERT INTO billing.former_lines SELECT max(closed_at) FROM billing.closed_months HAVING count(*) > 0;
COMMENT ON COLUMN billing.invoice_lines.account_id IS 'The provider''s id of the account that spent; the API key where only that is the tenant''s.';
COMMENT ON COLUMN billing.invoice_lines.account_name IS 'The name it had when the tenant last spent on it in the month; its id where no name is the tenant''s to know.';
