-- Every version of the policy that was ever used, its margins, and which version priced a closed month.
CREATE TABLE policy.versions (
    policy_sha256 VARCHAR NOT NULL,
    content VARCHAR NOT NULL,
    first_used_at TIMESTAMPTZ
);
COMMENT ON TABLE policy.versions IS 'One row per version of the policy file that was ever used. Rows are only ever inserted.';
COMMENT ON COLUMN policy.versions.policy_sha256 IS 'SHA-256 of the file; of an empty one where there was none; of the default rules in invoices from before there was a policy file.';
COMMENT ON COLUMN policy.versions.content IS 'The file.';
COMMENT ON COLUMN policy.versions.first_used_at IS 'When it was first used; NULL: since there is this warehouse.';

CREATE TABLE policy.uses (
    use_no INTEGER NOT NULL,
    policy_sha256 VARCHAR NOT NULL,
    used_since TIMESTAMPTZ
);
COMMENT ON TABLE policy.uses IS 'One row per change of the version in use; the last one prices every month that is not closed.';
COMMENT ON COLUMN policy.uses.use_no IS 'Position, from 1.';
COMMENT ON COLUMN policy.uses.policy_sha256 IS 'The version.';
COMMENT ON COLUMN policy.uses.used_since IS 'When it was first seen in place of the one before; NULL: since there is this warehouse.';

CREATE TABLE policy.margins (
    policy_sha256 VARCHAR NOT NULL,
    rule_id VARCHAR NOT NULL,
    multiplier DECIMAL(9, 6) NOT NULL,
    precedence INTEGER NOT NULL,
    valid_from DATE NOT NULL,
    valid_until DATE,
    tenant VARCHAR,
    tenant_like VARCHAR,
    provider VARCHAR,
    provider_like VARCHAR,
    model VARCHAR,
    model_like VARCHAR,
    line_item VARCHAR,
    line_item_like VARCHAR,
    category VARCHAR,
    category_like VARCHAR
);
COMMENT ON TABLE policy.margins IS 'One row per margin rule of each version of the policy. Rows are only ever inserted.';
COMMENT ON COLUMN policy.margins.policy_sha256 IS 'The version.';
COMMENT ON COLUMN policy.margins.rule_id IS 'The rule''s id, unique in the version.';
COMMENT ON COLUMN policy.margins.multiplier IS 'Sell price per dollar of cost.';
COMMENT ON COLUMN policy.margins.precedence IS 'Of the rules that match, the one with the highest goes first; from 1.';
COMMENT ON COLUMN policy.margins.valid_from IS 'First UTC day.';
COMMENT ON COLUMN policy.margins.valid_until IS 'UTC day after the last one; NULL while it lasts.';
COMMENT ON COLUMN policy.margins.tenant IS 'Pattern of the tenant_id as written; NULL matches all. The other fields likewise.';
COMMENT ON COLUMN policy.margins.tenant_like IS 'The same for LIKE ... ESCAPE ''!''.';

ALTER TABLE policy.margin_rules RENAME TO default_margins;
COMMENT ON TABLE policy.default_margins IS 'One row per default margin of the environment, dated by the day it was first seen; they stand behind the margins of every version of the policy.';
COMMENT ON COLUMN policy.default_margins.rule_id IS 'default- and the provider, and the day for later ones.';
COMMENT ON COLUMN policy.default_margins.provider IS 'openai or openrouter.';
COMMENT ON COLUMN policy.default_margins.multiplier IS 'Sell price per dollar of cost.';
COMMENT ON COLUMN policy.default_margins.valid_from IS 'First UTC day.';
COMMENT ON COLUMN policy.default_margins.valid_until IS 'UTC day after the last one; NULL while it lasts.';
COMMENT ON COLUMN policy.default_margins.seen_at IS 'When it was recorded.';

-- Until a file is used, the built-in policy is, which is what an empty file means.
INSERT INTO policy.versions VALUES ('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', '', NULL);
INSERT INTO policy.versions SELECT policy_sha256, '', min(issued_at) FROM billing.invoices GROUP BY policy_sha256;
INSERT INTO policy.uses VALUES (1, 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', NULL);

ALTER TABLE billing.closed_months ADD COLUMN policy_sha256 VARCHAR;
COMMENT ON COLUMN billing.closed_months.policy_sha256 IS 'The version of the policy that prices the month from then on; its invoices name the same.';
UPDATE billing.closed_months SET policy_sha256 = coalesce(
    (
        SELECT max(policy_sha256) FROM billing.invoices
        WHERE invoices.month = closed_months.month
            AND (closed_months.tenant_id IS NULL OR invoices.tenant_id = closed_months.tenant_id)
    ),
    'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
);
COMMENT ON COLUMN billing.invoices.policy_sha256 IS 'The version of the policy that priced it.';
