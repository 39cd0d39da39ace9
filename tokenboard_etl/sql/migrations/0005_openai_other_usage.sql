-- OpenAI's usage outside completions, one row per measure; dimensions an endpoint does not have are empty.
CREATE TABLE raw.openai_other_usage (
    connection_id VARCHAR NOT NULL, load_id VARCHAR NOT NULL, usage_date DATE NOT NULL, endpoint VARCHAR NOT NULL,
    project_id VARCHAR NOT NULL, model VARCHAR NOT NULL, api_key_id VARCHAR NOT NULL, user_id VARCHAR NOT NULL,
    batch VARCHAR NOT NULL, service_tier VARCHAR NOT NULL, size VARCHAR NOT NULL, source VARCHAR NOT NULL,
    vector_store_id VARCHAR NOT NULL, context_level VARCHAR NOT NULL,
    measure VARCHAR NOT NULL, quantity DECIMAL(38, 9) NOT NULL
);
