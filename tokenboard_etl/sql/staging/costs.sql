-- Every provider's cost in one shape.
-- grain: UTC day x connection x account x API key x line item
-- key: usage_date, connection_id, account_id, api_key_id, line_item
-- owner: team:data
-- column usage_date: UTC day of the cost.
-- column provider: openai or openrouter.
-- column connection_id: The provider account.
-- column account_id: Project id or key hash; empty for cost no account explains.
-- column api_key_id: API key id or key hash; empty where the provider does not say.
-- column line_item: The provider's line item or model.
-- column model: Model; NULL for items that are no model.
-- column quantity: How much, in quantity_unit.
-- column quantity_unit: Unit of the quantity.
-- column cost_usd: What the provider charges us.
-- column provider_rows: Rows the provider sent for this key.
-- column load_id: The load that brought the figure.
SELECT
    usage_date, provider, connection_id, account_id, api_key_id, line_item, model, quantity, quantity_unit, cost_usd,
    provider_rows, load_id
FROM staging.openai_costs
UNION ALL
SELECT
    usage_date, provider, connection_id, account_id, api_key_id, line_item, model, quantity, quantity_unit, cost_usd,
    provider_rows, load_id
FROM staging.openrouter_costs
