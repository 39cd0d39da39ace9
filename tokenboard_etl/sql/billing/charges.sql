-- What each tenant owes for each day, account and line item. Unbound spend stands under tenant_id 'unallocated'.
-- grain: UTC day x connection x account x API key x line item x source
-- key: usage_date, connection_id, account_id, api_key_id, line_item, source
-- month: usage_date
-- owner: team:billing
-- A binding of the API key goes before one of the project. Every cost row becomes exactly one charge: bindings and
-- rules do not overlap (checks), and nothing is dropped by a join. A tenant's own account is no charge of ours
-- (billing.own_account_costs).
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
WITH cost AS (
    SELECT
        staging.costs.usage_date, staging.costs.provider, staging.costs.connection_id, staging.costs.account_id,
        staging.costs.api_key_id, staging.costs.line_item, staging.costs.model, staging.costs.quantity,
        staging.costs.quantity_unit, staging.costs.cost_usd, staging.costs.load_id,
        coalesce(by_key.tenant_id, by_account.tenant_id) AS tenant_id
    FROM staging.costs
    LEFT JOIN registry.accounts AS by_key
        ON by_key.provider = staging.costs.provider
        AND by_key.kind = 'api_key'
        AND by_key.account_id = staging.costs.api_key_id
        AND by_key.valid_from <= staging.costs.usage_date
        AND (by_key.valid_until IS NULL OR staging.costs.usage_date < by_key.valid_until)
    LEFT JOIN registry.accounts AS by_account
        ON by_account.provider = staging.costs.provider
        AND by_account.kind IN ('project', 'key')
        AND by_account.account_id = staging.costs.account_id
        AND by_account.valid_from <= staging.costs.usage_date
        AND (by_account.valid_until IS NULL OR staging.costs.usage_date < by_account.valid_until)
    WHERE staging.costs.connection_id NOT IN (
        SELECT connection_id FROM registry.connections WHERE tenant_id IS NOT NULL)
)
SELECT
    cost.usage_date,
    coalesce(cost.tenant_id, 'unallocated') AS tenant_id,
    cost.provider,
    cost.connection_id,
    cost.account_id,
    cost.api_key_id,
    cost.line_item,
    cost.model,
    'uncategorised' AS category,
    cost.quantity,
    cost.quantity_unit,
    cost.cost_usd,
    CASE WHEN cost.tenant_id IS NULL THEN CAST(0 AS DECIMAL(9, 6)) ELSE rule.multiplier END AS multiplier,
    CAST(cost.cost_usd * CASE WHEN cost.tenant_id IS NULL THEN CAST(0 AS DECIMAL(9, 6)) ELSE rule.multiplier END
        AS DECIMAL(38, 24)) AS billed_usd,
    CASE WHEN cost.tenant_id IS NOT NULL THEN rule.rule_id END AS margin_rule_id,
    'provider' AS source,
    cost.load_id
FROM cost
LEFT JOIN policy.margin_rules AS rule
    ON rule.provider = cost.provider
    AND rule.valid_from <= cost.usage_date
    AND (rule.valid_until IS NULL OR cost.usage_date < rule.valid_until)
