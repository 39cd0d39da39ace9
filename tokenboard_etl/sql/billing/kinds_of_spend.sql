-- What each tenant spent on, day by day: the kinds that have to have a price, whatever was spent on them.
-- grain: UTC day x tenant x provider x model x line item x category
-- key: usage_date, tenant_id, provider, model, line_item, category
-- month: usage_date
-- owner: team:billing
-- billing.rates chooses a rule per kind and month, and so need not go through the costs of all time.
-- column usage_date: UTC day.
-- column tenant_id: Tenant; unallocated spend has no price.
-- column provider: openai or openrouter.
-- column model: Model; NULL for items that are no model.
-- column line_item: The provider's line item or model.
-- column category: Kind of operation.
-- column policy_sha256: The version of the policy that prices it.
SELECT DISTINCT
    usage_date,
    tenant_id,
    provider,
    model,
    line_item,
    category,
    policy_sha256
FROM staging.tenant_costs
WHERE tenant_id IS NOT NULL
