-- The running day: usage by the minute, and readings of OpenRouter's counters.
CREATE TABLE raw.openai_completions_minutes (
    connection_id VARCHAR NOT NULL, load_id VARCHAR NOT NULL, usage_date DATE NOT NULL, minute_at TIMESTAMPTZ NOT NULL,
    project_id VARCHAR NOT NULL, model VARCHAR NOT NULL, api_key_id VARCHAR NOT NULL,
    batch VARCHAR NOT NULL, service_tier VARCHAR NOT NULL,
    input_tokens HUGEINT NOT NULL, input_uncached_tokens HUGEINT, input_cached_tokens HUGEINT,
    input_cache_write_tokens HUGEINT, output_tokens HUGEINT NOT NULL, input_audio_tokens HUGEINT,
    input_cached_audio_tokens HUGEINT, output_audio_tokens HUGEINT, input_image_tokens HUGEINT,
    input_cached_image_tokens HUGEINT, output_image_tokens HUGEINT, requests HUGEINT NOT NULL
);
CREATE TABLE raw.openrouter_key_readings (
    connection_id VARCHAR NOT NULL, load_id VARCHAR NOT NULL, usage_date DATE NOT NULL, read_at TIMESTAMPTZ NOT NULL,
    key_hash VARCHAR NOT NULL, usage_daily_usd DECIMAL(38, 18) NOT NULL
);
COMMENT ON TABLE ops.loads IS 'One row per load: one report of one connection over one window, read to the end and loaded. Loads of the running day go once the real cost of all their days has arrived.';
