-- Every charge with the names of its tenant, account and API key beside their ids.
-- grain: UTC day x connection x account x API key x line item x source
-- owner: team:data
-- Names are the newest ones; what a name was earlier is in ops.account_names.
-- column usage_date: UTC day of the cost.
-- column tenant_id: Who pays; 'unallocated' where nobody is bound.
-- column provider: openai or openrouter.
-- column connection_id: The provider account.
-- column account_id: Project id or key hash; empty for cost no account explains.
-- column api_key_id: API key id or key hash; empty where the provider does not say.
-- column line_item: The provider's line item or model.
-- column model: Model; NULL for items that are no model.
-- column category: Kind of operation.
-- column quantity: How much, in quantity_unit.
-- column quantity_unit: Unit of the quantity.
-- column cost_usd: What the provider charges us, 18 decimals.
-- column multiplier: Sell price per dollar of cost; 0 for unallocated spend.
-- column billed_usd: cost_usd x multiplier, exact, 24 decimals.
-- column margin_rule_id: The rule the multiplier is from; NULL for unallocated spend.
-- column source: provider: the provider's own cost figure.
-- column load_id: The load that brought the cost.
-- column tenant_name: The tenant's name; NULL for unallocated spend.
-- column account_name: Name of the project or OpenRouter key; NULL where the provider gave none.
-- column api_key_name: Name of the API key; NULL where the provider gave none.
WITH names AS (
    SELECT provider, connection_id, account_id, max(name) AS name
    FROM ops.accounts
    GROUP BY provider, connection_id, account_id
)
SELECT
    charges.usage_date,
    charges.tenant_id,
    charges.provider,
    charges.connection_id,
    charges.account_id,
    charges.api_key_id,
    charges.line_item,
    charges.model,
    charges.category,
    charges.quantity,
    charges.quantity_unit,
    charges.cost_usd,
    charges.multiplier,
    charges.billed_usd,
    charges.margin_rule_id,
    charges.source,
    charges.load_id,
    tenants.name AS tenant_name,
    accounts.name AS account_name,
    api_keys.name AS api_key_name
FROM billing.charges AS charges
LEFT JOIN registry.tenants AS tenants ON tenants.tenant_id = charges.tenant_id
LEFT JOIN names AS accounts
    ON accounts.provider = charges.provider
    AND accounts.connection_id = charges.connection_id
    AND accounts.account_id = charges.account_id
LEFT JOIN names AS api_keys
    ON api_keys.provider = charges.provider
    AND api_keys.connection_id = charges.connection_id
    AND api_keys.account_id = charges.api_key_id
