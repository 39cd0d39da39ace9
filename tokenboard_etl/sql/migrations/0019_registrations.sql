-- Which registrations of the inbox have become tenants, so that none does twice.
CREATE TABLE registry.registrations (
    registration_id VARCHAR NOT NULL,
    sha256 VARCHAR NOT NULL,
    tenant_id VARCHAR NOT NULL,
    registered_at TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE registry.registrations IS 'One row per registration that came through the inbox and became a tenant.';
COMMENT ON COLUMN registry.registrations.registration_id IS 'The id the sending system gave it.';
COMMENT ON COLUMN registry.registrations.sha256 IS 'SHA-256 of what it said, however it was written; the same id with other content is refused.';
COMMENT ON COLUMN registry.registrations.tenant_id IS 'The tenant it became.';
COMMENT ON COLUMN registry.registrations.registered_at IS 'When.';
