-- What tenants spent on provider accounts they brought themselves: shown to them, never invoiced.
-- grain: UTC day x connection x account x API key x line item
-- key: usage_date, connection_id, account_id, api_key_id, line_item
-- month: usage_date
-- owner: team:billing
-- column usage_date: UTC day of the cost.
-- column tenant_id: The tenant whose account it is.
-- column provider: openai or openrouter.
-- column connection_id: The provider account.
-- column account_id: Project id or key hash; empty for cost no account explains.
-- column api_key_id: API key id or key hash; empty where the provider does not say.
-- column line_item: The provider's line item or model.
-- column model: Model; NULL for items that are no model.
-- column quantity: How much, in quantity_unit.
-- column quantity_unit: Unit of the quantity.
-- column cost_usd: What the provider charges the tenant.
SELECT
    cost.usage_date,
    owner.tenant_id,
    cost.provider,
    cost.connection_id,
    cost.account_id,
    cost.api_key_id,
    cost.line_item,
    cost.model,
    cost.quantity,
    cost.quantity_unit,
    cost.cost_usd
FROM staging.costs AS cost
JOIN registry.connections AS owner ON owner.connection_id = cost.connection_id AND owner.tenant_id IS NOT NULL
