-- What OpenAI's projects hold: service accounts, API keys, spend limits; and the organization's admin keys.
-- A project that was read and holds none has one row with an empty id: that is not the same as not having been read.
CREATE TABLE raw.openai_service_accounts (
    connection_id VARCHAR NOT NULL, load_id VARCHAR NOT NULL, snapshot_date DATE NOT NULL,
    project_id VARCHAR NOT NULL, service_account_id VARCHAR NOT NULL, name VARCHAR, role VARCHAR, created_at TIMESTAMPTZ
);
CREATE TABLE raw.openai_project_keys (
    connection_id VARCHAR NOT NULL, load_id VARCHAR NOT NULL, snapshot_date DATE NOT NULL,
    project_id VARCHAR NOT NULL, api_key_id VARCHAR NOT NULL, name VARCHAR, owner_project_access VARCHAR,
    created_at TIMESTAMPTZ, expires_at TIMESTAMPTZ, last_used_at TIMESTAMPTZ
);
CREATE TABLE raw.openai_spend_limits (
    connection_id VARCHAR NOT NULL, load_id VARCHAR NOT NULL, snapshot_date DATE NOT NULL,
    project_id VARCHAR NOT NULL, limit_cents BIGINT, "interval" VARCHAR, enforcement_status VARCHAR
);
CREATE TABLE raw.openai_admin_keys (
    connection_id VARCHAR NOT NULL, load_id VARCHAR NOT NULL, snapshot_date DATE NOT NULL,
    admin_key_id VARCHAR NOT NULL, name VARCHAR, created_at TIMESTAMPTZ NOT NULL, expires_at TIMESTAMPTZ, last_used_at TIMESTAMPTZ
);
