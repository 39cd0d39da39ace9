-- What providers send that nobody reads yet.
CREATE TABLE ops.unknown_fields (
    provider VARCHAR NOT NULL,
    endpoint VARCHAR NOT NULL,
    path VARCHAR NOT NULL,
    example_type VARCHAR NOT NULL,
    first_seen_at TIMESTAMPTZ NOT NULL,
    last_seen_at TIMESTAMPTZ NOT NULL,
    first_load_id VARCHAR NOT NULL
);
COMMENT ON TABLE ops.unknown_fields IS 'One row per field a provider sends and this system does not know. Its values are kept in the landings.';
COMMENT ON COLUMN ops.unknown_fields.provider IS 'openai or openrouter.';
COMMENT ON COLUMN ops.unknown_fields.endpoint IS 'Method and path whose answer holds it.';
COMMENT ON COLUMN ops.unknown_fields.path IS 'JSON path of the field; [*] stands for every element of a list.';
COMMENT ON COLUMN ops.unknown_fields.example_type IS 'JSON type of the first value met: object, array, text, number, boolean or null.';
COMMENT ON COLUMN ops.unknown_fields.first_seen_at IS 'Start of the first load that brought it.';
COMMENT ON COLUMN ops.unknown_fields.last_seen_at IS 'Start of the newest load that brought it.';
COMMENT ON COLUMN ops.unknown_fields.first_load_id IS 'The first load that brought it; also the name of its landing folder.';
