-- Whose account each connection is: a tenant's own account is shown and never invoiced.
CREATE TABLE registry.connections (
    connection_id VARCHAR NOT NULL,
    provider VARCHAR NOT NULL,
    mode VARCHAR NOT NULL,
    tenant_id VARCHAR,
    recorded_at TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE registry.connections IS 'One row per provider account that was ever connected. Keys stand in the vault, never here.';
COMMENT ON COLUMN registry.connections.connection_id IS 'Names the account in all tables.';
COMMENT ON COLUMN registry.connections.provider IS 'openai or openrouter.';
COMMENT ON COLUMN registry.connections.mode IS 'organization: all reports are read; personal: the credit balance alone.';
COMMENT ON COLUMN registry.connections.tenant_id IS 'The tenant who brought the account; NULL is ours.';
COMMENT ON COLUMN registry.connections.recorded_at IS 'When it was first seen.';
