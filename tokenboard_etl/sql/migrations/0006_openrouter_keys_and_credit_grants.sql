-- OpenRouter's counters and activity per key, and the credit grants of personal OpenAI accounts.
ALTER TABLE raw.openrouter_keys ADD COLUMN usage_daily_usd DECIMAL(38, 18);
ALTER TABLE raw.openrouter_keys ADD COLUMN usage_weekly_usd DECIMAL(38, 18);
ALTER TABLE raw.openrouter_keys ADD COLUMN usage_monthly_usd DECIMAL(38, 18);
ALTER TABLE raw.openrouter_keys ADD COLUMN byok_usage_daily_usd DECIMAL(38, 18);
ALTER TABLE raw.openrouter_keys ADD COLUMN byok_usage_weekly_usd DECIMAL(38, 18);
ALTER TABLE raw.openrouter_keys ADD COLUMN byok_usage_monthly_usd DECIMAL(38, 18);
ALTER TABLE raw.openrouter_keys ADD COLUMN include_byok_in_limit BOOLEAN;
ALTER TABLE raw.openrouter_keys ADD COLUMN expires_at VARCHAR;

CREATE TABLE raw.openrouter_activity_by_key (
    connection_id VARCHAR NOT NULL, load_id VARCHAR NOT NULL, usage_date DATE NOT NULL, key_hash VARCHAR NOT NULL,
    model VARCHAR NOT NULL, model_permaslug VARCHAR NOT NULL, endpoint_id VARCHAR NOT NULL, provider_name VARCHAR NOT NULL,
    cost_usd DECIMAL(38, 18) NOT NULL, byok_usage_usd DECIMAL(38, 18) NOT NULL, requests HUGEINT NOT NULL,
    prompt_tokens HUGEINT NOT NULL, completion_tokens HUGEINT NOT NULL, reasoning_tokens HUGEINT NOT NULL
);

CREATE TABLE raw.openai_credit_grants (
    connection_id VARCHAR NOT NULL, load_id VARCHAR NOT NULL, snapshot_date DATE NOT NULL, grant_id VARCHAR NOT NULL,
    granted_usd DECIMAL(38, 18) NOT NULL, used_usd DECIMAL(38, 18) NOT NULL, available_usd DECIMAL(38, 18),
    effective_at TIMESTAMPTZ, expires_at TIMESTAMPTZ
);
