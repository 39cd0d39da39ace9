-- What a provider would not say, and why.
ALTER TABLE ops.loads ADD COLUMN unavailable_reason VARCHAR;
COMMENT ON COLUMN ops.loads.unavailable_reason IS 'Why the provider gave nothing (key without permission, report unknown there); NULL otherwise.';
COMMENT ON COLUMN ops.loads.result IS 'loaded; superseded when all of its days had been loaded from a later read; refused when a figure was missing or settled money collapsed; unavailable when the provider would not say.';
COMMENT ON COLUMN ops.loads.sha256 IS 'Checksum over the checksums of all bodies, whatever order they arrived in.';
