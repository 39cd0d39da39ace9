-- Every cost of ours that has an amount, with the tenant who pays for it, its category and the policy that prices it.
-- grain: UTC day x connection x account x API key x line item x source
-- key: usage_date, connection_id, account_id, api_key_id, line_item, source
-- owner: team:billing
-- What is known by the provider, estimated from usage, or taken for operations at a fallback price: `source` says which.
-- column usage_date: UTC day of the cost.
-- column tenant_id: Who pays; NULL where nobody is bound.
-- column provider: openai or openrouter.
-- column connection_id: The provider account.
-- column account_id: Project id or key hash; empty for cost no account explains.
-- column api_key_id: API key id or key hash; empty where the provider does not say.
-- column billed_account_id: What the tenant's documents call the account by: account_id, or api_key_id where only the key is the tenant's.
-- column line_item: The provider's line item or model; the category for fallback prices.
-- column model: Model; NULL for items that are no model.
-- column category: Kind of operation.
-- column quantity: How much, in quantity_unit.
-- column quantity_unit: Unit of the quantity.
-- column cost_usd: What the provider charges us, or is taken to.
-- column source: provider, estimated or fallback.
-- column policy_sha256: The version of the policy.
-- column load_id: The load that brought the cost; NULL for what no provider said.
SELECT
    cost.usage_date, cost.tenant_id, cost.provider, cost.connection_id, cost.account_id, cost.api_key_id,
    cost.billed_account_id, cost.line_item, cost.model, coalesce(chosen.category, 'uncategorised') AS category,
    cost.quantity, cost.quantity_unit, cost.cost_usd, cost.source, cost.policy_sha256, cost.load_id
FROM staging.bound_costs AS cost
LEFT JOIN billing.categories AS chosen
    ON chosen.usage_date = cost.usage_date
    AND chosen.connection_id = cost.connection_id
    AND chosen.account_id = cost.account_id
    AND chosen.api_key_id = cost.api_key_id
    AND chosen.model IS NOT DISTINCT FROM cost.model
WHERE cost.is_priced
UNION ALL
SELECT
    usage_date, tenant_id, provider, connection_id, account_id, api_key_id, billed_account_id,
    category AS line_item, NULL AS model, category, quantity, quantity_unit, cost_usd, 'fallback' AS source,
    policy_sha256, NULL AS load_id
FROM staging.fallback_costs
