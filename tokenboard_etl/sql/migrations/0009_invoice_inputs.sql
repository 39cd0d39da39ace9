-- What an issued invoice rests on, so that it can be kept and shown to be what it was.
CREATE TABLE billing.invoice_inputs (
    invoice_number VARCHAR NOT NULL,
    load_id VARCHAR NOT NULL,
    sha256 VARCHAR NOT NULL
);
COMMENT ON TABLE billing.invoice_inputs IS 'One row per issued document and load its charges are from. Rows are only ever inserted.';
COMMENT ON COLUMN billing.invoice_inputs.invoice_number IS 'The document.';
COMMENT ON COLUMN billing.invoice_inputs.load_id IS 'A load (ops.loads) that brought cost of the invoice.';
COMMENT ON COLUMN billing.invoice_inputs.sha256 IS 'Checksum of the bodies of that load.';

ALTER TABLE ops.loads ADD COLUMN pruned_at TIMESTAMPTZ;
COMMENT ON COLUMN ops.loads.pruned_at IS 'When its landed bodies were removed (tokenboard landing prune); NULL while they are kept.';
