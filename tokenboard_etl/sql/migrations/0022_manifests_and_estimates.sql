-- What a load's manifest was when it was loaded, so that one that is altered is named; and the days whose estimates
-- finance has invoiced by name.
ALTER TABLE ops.loads ADD COLUMN manifest_sha256 VARCHAR;
COMMENT ON COLUMN ops.loads.manifest_sha256 IS 'SHA-256 of the landing''s manifest when it was loaded; NULL for loads from before this was kept.';
ALTER TABLE billing.issue_source_days ADD COLUMN manifest_sha256 VARCHAR;
COMMENT ON COLUMN billing.issue_source_days.manifest_sha256 IS 'SHA-256 of that load''s manifest; NULL for loads from before this was kept.';

CREATE TABLE policy.invoiced_estimates (
    policy_sha256 VARCHAR NOT NULL,
    rule_id VARCHAR NOT NULL,
    tenant_id VARCHAR NOT NULL,
    valid_from DATE NOT NULL,
    valid_until DATE NOT NULL
);
COMMENT ON TABLE policy.invoiced_estimates IS 'One row per rule of each version of the policy that has estimates of some days invoiced. Rows are only ever inserted.';
COMMENT ON COLUMN policy.invoiced_estimates.policy_sha256 IS 'The version.';
COMMENT ON COLUMN policy.invoiced_estimates.rule_id IS 'The rule''s id, unique in the version.';
COMMENT ON COLUMN policy.invoiced_estimates.tenant_id IS 'The tenant who is invoiced.';
COMMENT ON COLUMN policy.invoiced_estimates.valid_from IS 'First UTC day.';
COMMENT ON COLUMN policy.invoiced_estimates.valid_until IS 'UTC day after the last one.';
