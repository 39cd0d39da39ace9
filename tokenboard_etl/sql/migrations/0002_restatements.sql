-- What providers changed after the fact, and why a collapse was accepted.
CREATE TABLE billing.restatements (
    usage_date DATE NOT NULL,
    provider VARCHAR NOT NULL,
    connection_id VARCHAR NOT NULL,
    account_id VARCHAR NOT NULL,
    api_key_id VARCHAR NOT NULL,
    line_item VARCHAR NOT NULL,
    previous_usd DECIMAL(38, 18),
    current_usd DECIMAL(38, 18),
    delta_usd DECIMAL(38, 18) NOT NULL,
    load_id VARCHAR NOT NULL,
    seen_at TIMESTAMPTZ NOT NULL
);
COMMENT ON TABLE billing.restatements IS 'One row per value a provider changed after it had been loaded. Rows are only ever inserted.';
COMMENT ON COLUMN billing.restatements.usage_date IS 'UTC day of the cost.';
COMMENT ON COLUMN billing.restatements.provider IS 'openai or openrouter.';
COMMENT ON COLUMN billing.restatements.connection_id IS 'The provider account.';
COMMENT ON COLUMN billing.restatements.account_id IS 'Project id or key hash; empty for cost no account explains.';
COMMENT ON COLUMN billing.restatements.api_key_id IS 'API key id or key hash; empty where the provider does not say.';
COMMENT ON COLUMN billing.restatements.line_item IS 'The provider''s line item or model.';
COMMENT ON COLUMN billing.restatements.previous_usd IS 'What was loaded before; NULL if the row is new.';
COMMENT ON COLUMN billing.restatements.current_usd IS 'What the provider says now; NULL if the row vanished.';
COMMENT ON COLUMN billing.restatements.delta_usd IS 'current - previous, a missing side counted as 0.';
COMMENT ON COLUMN billing.restatements.load_id IS 'The load that brought the change.';
COMMENT ON COLUMN billing.restatements.seen_at IS 'When that load began.';

ALTER TABLE ops.loads ADD COLUMN accepted_reason VARCHAR;
COMMENT ON COLUMN ops.loads.accepted_reason IS 'Why a collapse of settled figures was accepted; NULL if there was none.';
COMMENT ON COLUMN ops.loads.result IS 'loaded; superseded when all of its days had been loaded from a later read; refused by the collapse guard.';
