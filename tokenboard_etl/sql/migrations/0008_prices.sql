-- The price book: what a token costs, from which day on. And the parts of cached input that have prices of their own.
CREATE TABLE policy.prices (
    model VARCHAR NOT NULL,
    tier VARCHAR NOT NULL,
    token_kind VARCHAR NOT NULL,
    usd_per_token DECIMAL(38, 18) NOT NULL,
    is_derived BOOLEAN NOT NULL,
    valid_from DATE NOT NULL,
    valid_until DATE,
    version_id VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    fetched_at TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE policy.prices IS 'One row per model, tier, kind of token and version of the model''s prices. Rows are inserted and closed, never changed.';
COMMENT ON COLUMN policy.prices.model IS 'Model or alias, as the price list spells it; fine-tunes begin with ft:.';
COMMENT ON COLUMN policy.prices.tier IS 'default, batch, flex or priority.';
COMMENT ON COLUMN policy.prices.token_kind IS 'input (uncached), cached_input, cache_write, output, and audio_ and image_ input, cached_input and output.';
COMMENT ON COLUMN policy.prices.usd_per_token IS 'USD for one token.';
COMMENT ON COLUMN policy.prices.is_derived IS 'true where the list is silent and the price follows from the tier''s input price; false where the list says it.';
COMMENT ON COLUMN policy.prices.valid_from IS 'First UTC day: the day the price was first seen; the first day of all for the first list ever recorded.';
COMMENT ON COLUMN policy.prices.valid_until IS 'UTC day after the last one; NULL while it lasts.';
COMMENT ON COLUMN policy.prices.version_id IS 'The price list that opened this version of the model''s prices.';
COMMENT ON COLUMN policy.prices.source IS 'The list that last stated this very price; older than version_id where a later list left it out.';
COMMENT ON COLUMN policy.prices.fetched_at IS 'When that list was read.';

ALTER TABLE raw.openai_completions ADD COLUMN input_cached_audio_tokens HUGEINT;
ALTER TABLE raw.openai_completions ADD COLUMN input_cached_image_tokens HUGEINT;
