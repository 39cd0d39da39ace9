-- What provisioning has to do, what it holds, and every action at a provider on behalf of a tenant. No secret anywhere.
ALTER TABLE registry.tenants ADD COLUMN legal_name VARCHAR;
ALTER TABLE registry.tenants ADD COLUMN address VARCHAR;
ALTER TABLE registry.tenants ADD COLUMN tax_id VARCHAR;
COMMENT ON COLUMN registry.tenants.legal_name IS 'The name contracts and tax offices know; NULL where it is the name.';
COMMENT ON COLUMN registry.tenants.address IS 'Postal address, in one line.';
COMMENT ON COLUMN registry.tenants.tax_id IS 'VAT number or the like.';

CREATE TABLE registry.tenant_names (tenant_id VARCHAR NOT NULL, name VARCHAR NOT NULL, since TIMESTAMPTZ NOT NULL);
INSERT INTO registry.tenant_names SELECT tenant_id, name, created_at FROM registry.tenants;
COMMENT ON TABLE registry.tenant_names IS 'One row per name a tenant has had, oldest first; the last one holds.';
COMMENT ON COLUMN registry.tenant_names.tenant_id IS 'The tenant.';
COMMENT ON COLUMN registry.tenant_names.name IS 'Its name from then on.';
COMMENT ON COLUMN registry.tenant_names.since IS 'When it was given.';

CREATE TABLE registry.provisioning (
    tenant_id VARCHAR NOT NULL,
    provider VARCHAR NOT NULL,
    connection_id VARCHAR,
    limit_usd DECIMAL(38, 18),
    state VARCHAR NOT NULL,
    reason VARCHAR,
    project_id VARCHAR,
    replaces_key_id VARCHAR,
    requested_at TIMESTAMPTZ NOT NULL,
    changed_at TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE registry.provisioning IS 'One row per tenant and provider: what the tenant is to have there, and whether it has it.';
COMMENT ON COLUMN registry.provisioning.tenant_id IS 'The tenant.';
COMMENT ON COLUMN registry.provisioning.provider IS 'openai or openrouter.';
COMMENT ON COLUMN registry.provisioning.connection_id IS 'The account of ours it is made in; NULL until something was made.';
COMMENT ON COLUMN registry.provisioning.limit_usd IS 'Monthly spend limit at the provider in USD; NULL is none.';
COMMENT ON COLUMN registry.provisioning.state IS 'ready, or pending while something is still to be done.';
COMMENT ON COLUMN registry.provisioning.reason IS 'Why it is pending; NULL when ready.';
COMMENT ON COLUMN registry.provisioning.project_id IS 'The OpenAI project that was made.';
COMMENT ON COLUMN registry.provisioning.replaces_key_id IS 'The key a rotation is about to retire; NULL outside of one.';
COMMENT ON COLUMN registry.provisioning.requested_at IS 'When the tenant was first to have it.';
COMMENT ON COLUMN registry.provisioning.changed_at IS 'When this row last changed.';

CREATE TABLE registry.keys (
    tenant_id VARCHAR NOT NULL,
    provider VARCHAR NOT NULL,
    key_id VARCHAR NOT NULL,
    project_id VARCHAR,
    service_account_id VARCHAR,
    label VARCHAR,
    stored_at TIMESTAMPTZ NOT NULL,
    retired_at TIMESTAMPTZ
);
COMMENT ON TABLE registry.keys IS 'One row per key that was made for a tenant. The key itself stands in the vault alone.';
COMMENT ON COLUMN registry.keys.tenant_id IS 'The tenant whose key it is.';
COMMENT ON COLUMN registry.keys.provider IS 'openai or openrouter.';
COMMENT ON COLUMN registry.keys.key_id IS 'OpenAI''s key id or OpenRouter''s key hash.';
COMMENT ON COLUMN registry.keys.project_id IS 'The OpenAI project it belongs to.';
COMMENT ON COLUMN registry.keys.service_account_id IS 'The OpenAI service account it belongs to.';
COMMENT ON COLUMN registry.keys.label IS 'The provider''s redacted form of the key, where it gives one.';
COMMENT ON COLUMN registry.keys.stored_at IS 'When it was in the vault and on record.';
COMMENT ON COLUMN registry.keys.retired_at IS 'When it was deleted or disabled for good; NULL while it can be used.';

CREATE TABLE registry.audit (
    action_no BIGINT NOT NULL,
    began_at TIMESTAMPTZ NOT NULL,
    ended_at TIMESTAMPTZ,
    actor VARCHAR NOT NULL,
    tenant_id VARCHAR NOT NULL,
    provider VARCHAR NOT NULL,
    connection_id VARCHAR,
    action VARCHAR NOT NULL,
    subject VARCHAR,
    known_ids VARCHAR[] NOT NULL,
    result VARCHAR NOT NULL,
    object_id VARCHAR,
    request_id VARCHAR,
    detail VARCHAR
);
COMMENT ON TABLE registry.audit IS 'One row per action at a provider or on a stored key. It is written before the action, so that one whose end is unknown shows.';
COMMENT ON COLUMN registry.audit.action_no IS 'Position, from 1.';
COMMENT ON COLUMN registry.audit.began_at IS 'When it was about to be done.';
COMMENT ON COLUMN registry.audit.ended_at IS 'When its end was known; NULL until then.';
COMMENT ON COLUMN registry.audit.actor IS 'The user of the operating system who ran it.';
COMMENT ON COLUMN registry.audit.tenant_id IS 'For whom.';
COMMENT ON COLUMN registry.audit.provider IS 'openai or openrouter.';
COMMENT ON COLUMN registry.audit.connection_id IS 'The account of ours it was done in; NULL for what no provider is asked for.';
COMMENT ON COLUMN registry.audit.action IS 'What: create project, delete key, reveal key and so on.';
COMMENT ON COLUMN registry.audit.subject IS 'The name a new thing was to bear, or the figure that was set.';
COMMENT ON COLUMN registry.audit.known_ids IS 'What bore that name already: it is never taken for what this action made.';
COMMENT ON COLUMN registry.audit.result IS 'begun; done; failed: the provider said no; lost: no answer came. Once the end of one that is begun or lost was looked into: adopted (it had been done), undone (its key was lost, so it was removed), not done, or settled (what it was for is in place).';
COMMENT ON COLUMN registry.audit.object_id IS 'The provider''s id of what was made or changed.';
COMMENT ON COLUMN registry.audit.request_id IS 'The provider''s id of the request.';
COMMENT ON COLUMN registry.audit.detail IS 'Why it failed.';
