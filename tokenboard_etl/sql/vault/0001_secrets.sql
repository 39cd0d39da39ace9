-- The vault's own tables. Nothing here can be used without TOKENBOARD_ENCRYPTION_KEY.
CREATE TABLE main.secrets (
    secret_id VARCHAR NOT NULL,
    owner VARCHAR,
    purpose VARCHAR NOT NULL,
    key_fingerprint VARCHAR NOT NULL,
    nonce BLOB NOT NULL,
    ciphertext BLOB NOT NULL,
    stored_at TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE main.secrets IS 'One row per stored secret, encrypted with AES-256-GCM. Purpose, owner and secret_id are authenticated with it.';
COMMENT ON COLUMN main.secrets.secret_id IS 'Names the secret; unique.';
COMMENT ON COLUMN main.secrets.owner IS 'The tenant whose secret it is; NULL is ours.';
COMMENT ON COLUMN main.secrets.purpose IS 'What it is for.';
COMMENT ON COLUMN main.secrets.key_fingerprint IS 'Which key of TOKENBOARD_ENCRYPTION_KEY encrypted it: 8 hex digits derived from the key.';
COMMENT ON COLUMN main.secrets.nonce IS '12 random bytes, used once.';
COMMENT ON COLUMN main.secrets.ciphertext IS 'The encrypted secret and the 16 bytes that authenticate it.';
COMMENT ON COLUMN main.secrets.stored_at IS 'When the secret was stored.';

CREATE TABLE main.connections (
    connection_id VARCHAR NOT NULL,
    provider VARCHAR NOT NULL,
    mode VARCHAR NOT NULL,
    tenant_id VARCHAR,
    created_at TIMESTAMPTZ NOT NULL,
    account_ids VARCHAR[] NOT NULL
);
COMMENT ON TABLE main.connections IS 'One row per provider account that was connected besides those of the environment.';
COMMENT ON COLUMN main.connections.connection_id IS 'Names the account in tables and folders; unique, never given twice.';
COMMENT ON COLUMN main.connections.provider IS 'openai or openrouter.';
COMMENT ON COLUMN main.connections.mode IS 'organization: all reports are read; personal: the credit balance alone.';
COMMENT ON COLUMN main.connections.tenant_id IS 'The tenant who brought the account; NULL is ours.';
COMMENT ON COLUMN main.connections.created_at IS 'When it was connected.';
COMMENT ON COLUMN main.connections.account_ids IS 'Objects only this account has (projects, workspaces, grants), as of its newest key: they tell that another key is of the same account.';
