-- Token prices that the policy sets before those of the price book, in estimates.
CREATE TABLE policy.price_overrides (
    policy_sha256 VARCHAR NOT NULL,
    rule_id VARCHAR NOT NULL,
    model_like VARCHAR NOT NULL,
    tier VARCHAR,
    token_kind VARCHAR NOT NULL,
    usd_per_token DECIMAL(19, 18) NOT NULL,
    precedence INTEGER NOT NULL,
    valid_from DATE NOT NULL,
    valid_until DATE
);
COMMENT ON TABLE policy.price_overrides IS 'One row per price override of each version of the policy. Rows are only ever inserted.';
COMMENT ON COLUMN policy.price_overrides.policy_sha256 IS 'The version.';
COMMENT ON COLUMN policy.price_overrides.rule_id IS 'The rule''s id, unique in the version.';
COMMENT ON COLUMN policy.price_overrides.model_like IS 'Pattern of the model for LIKE ... ESCAPE ''!''.';
COMMENT ON COLUMN policy.price_overrides.tier IS 'default, batch, flex or priority; NULL matches all.';
COMMENT ON COLUMN policy.price_overrides.token_kind IS 'Kind of token, as in policy.prices.';
COMMENT ON COLUMN policy.price_overrides.usd_per_token IS 'USD for one token.';
COMMENT ON COLUMN policy.price_overrides.precedence IS 'Of the rules that match, the one with the highest goes first; from 1.';
COMMENT ON COLUMN policy.price_overrides.valid_from IS 'First UTC day.';
COMMENT ON COLUMN policy.price_overrides.valid_until IS 'UTC day after the last one; NULL while it lasts.';
