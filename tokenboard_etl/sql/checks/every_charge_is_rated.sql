-- Every charge of a tenant has a rule and a price; a missing rule must not become a zero.
-- severity: blocking
-- asset: billing.charges
-- owner: team:billing
SELECT usage_date, tenant_id, provider, account_id, line_item, cost_usd
FROM billing.charges
WHERE billed_usd IS NULL OR multiplier IS NULL OR (tenant_id <> 'unallocated' AND margin_rule_id IS NULL)
ORDER BY 1, 2
