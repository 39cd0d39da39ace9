-- The policy's categories and fallback prices, version by version; and the operations an application tells of.
CREATE TABLE policy.categories (
    policy_sha256 VARCHAR NOT NULL,
    position INTEGER NOT NULL,
    rule_id VARCHAR NOT NULL,
    category VARCHAR NOT NULL,
    valid_from DATE NOT NULL,
    valid_until DATE,
    over_tokens_per_request BIGINT,
    api_key_like VARCHAR,
    project_like VARCHAR,
    model_like VARCHAR,
    needs_usage BOOLEAN NOT NULL
);
COMMENT ON TABLE policy.categories IS 'One row per category rule of each version of the policy, the built-in ones included.';
COMMENT ON COLUMN policy.categories.policy_sha256 IS 'The version.';
COMMENT ON COLUMN policy.categories.position IS 'Place in the file, from 1; the first that matches decides.';
COMMENT ON COLUMN policy.categories.rule_id IS 'The rule''s id, unique in the version.';
COMMENT ON COLUMN policy.categories.category IS 'What it makes of what it matches.';
COMMENT ON COLUMN policy.categories.valid_from IS 'First UTC day.';
COMMENT ON COLUMN policy.categories.valid_until IS 'UTC day after the last one; NULL while it lasts.';
COMMENT ON COLUMN policy.categories.over_tokens_per_request IS 'Matches more tokens per request than this, input and output; NULL matches any.';
COMMENT ON COLUMN policy.categories.api_key_like IS 'Pattern of the API key''s id for LIKE ... ESCAPE ''!''; NULL matches all.';
COMMENT ON COLUMN policy.categories.project_like IS 'Pattern of the project id or key hash, likewise.';
COMMENT ON COLUMN policy.categories.model_like IS 'Pattern of the model, likewise.';
COMMENT ON COLUMN policy.categories.needs_usage IS 'true: matches only what has usage figures.';

CREATE TABLE policy.fallback_prices (
    policy_sha256 VARCHAR NOT NULL,
    rule_id VARCHAR NOT NULL,
    category VARCHAR NOT NULL,
    unit VARCHAR NOT NULL,
    usd_per_unit DECIMAL(38, 18) NOT NULL,
    precedence INTEGER NOT NULL,
    valid_from DATE NOT NULL,
    valid_until DATE,
    tenant_like VARCHAR
);
COMMENT ON TABLE policy.fallback_prices IS 'One row per fallback price of each version of the policy, the built-in ones included.';
COMMENT ON COLUMN policy.fallback_prices.policy_sha256 IS 'The version.';
COMMENT ON COLUMN policy.fallback_prices.rule_id IS 'The rule''s id, unique in the version.';
COMMENT ON COLUMN policy.fallback_prices.category IS 'Of which category.';
COMMENT ON COLUMN policy.fallback_prices.unit IS 'What is counted: cv, question, minute.';
COMMENT ON COLUMN policy.fallback_prices.usd_per_unit IS 'What one unit is taken to cost, in USD.';
COMMENT ON COLUMN policy.fallback_prices.precedence IS 'Of the rules of a category that match, the one with the highest goes first; from 1.';
COMMENT ON COLUMN policy.fallback_prices.valid_from IS 'First UTC day.';
COMMENT ON COLUMN policy.fallback_prices.valid_until IS 'UTC day after the last one; NULL while it lasts.';
COMMENT ON COLUMN policy.fallback_prices.tenant_like IS 'Pattern of the tenant_id for LIKE ... ESCAPE ''!''; NULL matches all.';

CREATE TABLE ops.operations (
    operation_id VARCHAR NOT NULL,
    type VARCHAR NOT NULL,
    occurred_at TIMESTAMPTZ NOT NULL,
    usage_date DATE NOT NULL,
    tenant_id VARCHAR NOT NULL,
    job_id VARCHAR NOT NULL,
    job_title VARCHAR,
    candidate_sha256 VARCHAR,
    tokens BIGINT,
    quantity DECIMAL(18, 6) NOT NULL,
    unit VARCHAR NOT NULL,
    success BOOLEAN NOT NULL,
    loaded_at TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE ops.operations IS 'One row per operation an application told of. Rows are only ever inserted; not published.';
COMMENT ON COLUMN ops.operations.operation_id IS 'The application''s own id; the first row that bears it is the one that counts.';
COMMENT ON COLUMN ops.operations.type IS 'Kind of operation: the name of a category of the policy.';
COMMENT ON COLUMN ops.operations.occurred_at IS 'When it was done.';
COMMENT ON COLUMN ops.operations.usage_date IS 'The UTC day of that.';
COMMENT ON COLUMN ops.operations.tenant_id IS 'For whom.';
COMMENT ON COLUMN ops.operations.job_id IS 'The application''s id of the job it was done for; empty for none.';
COMMENT ON COLUMN ops.operations.job_title IS 'The job''s title at that time.';
COMMENT ON COLUMN ops.operations.candidate_sha256 IS 'SHA-256 of tenant_id, a line feed and whom it was about; the name itself is not kept; NULL for none.';
COMMENT ON COLUMN ops.operations.tokens IS 'Tokens it used, input and output; NULL where the application does not say.';
COMMENT ON COLUMN ops.operations.quantity IS 'How much was done, in unit.';
COMMENT ON COLUMN ops.operations.unit IS 'cvs, questions or minutes.';
COMMENT ON COLUMN ops.operations.success IS 'Whether it succeeded; one that failed costs as well.';
COMMENT ON COLUMN ops.operations.loaded_at IS 'When it was loaded.';

CREATE TABLE ops.operation_files (
    file VARCHAR NOT NULL,
    sha256 VARCHAR NOT NULL,
    bytes BIGINT NOT NULL,
    rows BIGINT NOT NULL,
    loaded BIGINT NOT NULL,
    rejected BIGINT NOT NULL,
    read_at TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE ops.operation_files IS 'One row per content a file of inbox/operations has had; not published.';
COMMENT ON COLUMN ops.operation_files.file IS 'Its name; what cannot be printed is escaped.';
COMMENT ON COLUMN ops.operation_files.sha256 IS 'SHA-256 of its bytes.';
COMMENT ON COLUMN ops.operation_files.bytes IS 'Its size.';
COMMENT ON COLUMN ops.operation_files.rows IS 'Rows in it.';
COMMENT ON COLUMN ops.operation_files.loaded IS 'Rows of it that were new and are loaded.';
COMMENT ON COLUMN ops.operation_files.rejected IS 'Rows, or the whole file, put into quarantine.';
COMMENT ON COLUMN ops.operation_files.read_at IS 'When it was read last.';

CREATE TABLE ops.operation_rejects (
    file VARCHAR NOT NULL,
    row_number BIGINT,
    reason VARCHAR NOT NULL,
    sha256 VARCHAR NOT NULL,
    read_at TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE ops.operation_rejects IS 'Quarantine: one row per row of a file, or per file, that could not be loaded, as of the newest reading of that file; not published.';
COMMENT ON COLUMN ops.operation_rejects.file IS 'The file''s name; what cannot be printed is escaped.';
COMMENT ON COLUMN ops.operation_rejects.row_number IS 'Line on which the row begins (CSV, JSONL) or number of the row (Parquet), from 1; NULL for the file as a whole.';
COMMENT ON COLUMN ops.operation_rejects.reason IS 'What is wrong. It never repeats what the row holds.';
COMMENT ON COLUMN ops.operation_rejects.sha256 IS 'SHA-256 of the bytes it was found in; empty for a file that was not read.';
COMMENT ON COLUMN ops.operation_rejects.read_at IS 'When it was read.';
