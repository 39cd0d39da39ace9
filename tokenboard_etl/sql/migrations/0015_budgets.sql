-- Budgets of each version of the policy, and the margin under which it wants to be told.
CREATE TABLE policy.budgets (
    policy_sha256 VARCHAR NOT NULL,
    rule_id VARCHAR NOT NULL,
    budget_usd DECIMAL(38, 18) NOT NULL,
    precedence INTEGER NOT NULL,
    valid_from DATE NOT NULL,
    valid_until DATE,
    tenant VARCHAR,
    tenant_like VARCHAR,
    is_pushed BOOLEAN NOT NULL
);
COMMENT ON TABLE policy.budgets IS 'One row per budget of each version of the policy. Rows are only ever inserted.';
COMMENT ON COLUMN policy.budgets.policy_sha256 IS 'The version.';
COMMENT ON COLUMN policy.budgets.rule_id IS 'The rule''s id, unique in the version.';
COMMENT ON COLUMN policy.budgets.budget_usd IS 'For a month, in USD of the tenant''s own prices.';
COMMENT ON COLUMN policy.budgets.precedence IS 'Of the rules that match, the one with the highest goes first; from 1.';
COMMENT ON COLUMN policy.budgets.valid_from IS 'First UTC day.';
COMMENT ON COLUMN policy.budgets.valid_until IS 'UTC day after the last one; NULL while it lasts.';
COMMENT ON COLUMN policy.budgets.tenant IS 'Pattern of the tenant_id as written; NULL matches all.';
COMMENT ON COLUMN policy.budgets.tenant_like IS 'The same for LIKE ... ESCAPE ''!''.';
COMMENT ON COLUMN policy.budgets.is_pushed IS 'Whether it is to be a hard limit at the providers too.';

CREATE TABLE policy.budget_thresholds (
    policy_sha256 VARCHAR NOT NULL,
    rule_id VARCHAR NOT NULL,
    threshold_percent INTEGER NOT NULL
);
COMMENT ON TABLE policy.budget_thresholds IS 'One row per budget and share of it that is reported when reached.';
COMMENT ON COLUMN policy.budget_thresholds.policy_sha256 IS 'The version.';
COMMENT ON COLUMN policy.budget_thresholds.rule_id IS 'The budget.';
COMMENT ON COLUMN policy.budget_thresholds.threshold_percent IS 'Percent of the budget.';

ALTER TABLE policy.versions ADD COLUMN margin_alarm_percent DECIMAL(9, 4);
COMMENT ON COLUMN policy.versions.margin_alarm_percent IS 'Least share of a tenant''s billed amount that is to remain as gross margin; NULL: 0.';
