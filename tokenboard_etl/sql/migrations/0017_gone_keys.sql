-- What a key had spent when it could still be asked for: after its deletion the provider no longer says whose cost it was.
CREATE TABLE ops.gone_key_days (
    connection_id VARCHAR NOT NULL,
    usage_date DATE NOT NULL,
    key_hash VARCHAR NOT NULL,
    load_id VARCHAR NOT NULL
);
COMMENT ON TABLE ops.gone_key_days IS 'One row per day and OpenRouter key that was gone when the day was read last: its cost is as the newest load has it that could still ask for it.';
COMMENT ON COLUMN ops.gone_key_days.connection_id IS 'The OpenRouter account.';
COMMENT ON COLUMN ops.gone_key_days.usage_date IS 'UTC day of the cost.';
COMMENT ON COLUMN ops.gone_key_days.key_hash IS 'The key that is gone.';
COMMENT ON COLUMN ops.gone_key_days.load_id IS 'The load its rows are from.';
