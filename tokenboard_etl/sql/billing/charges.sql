-- What each tenant owes for each day, account and line item. Unbound spend stands under tenant_id 'unallocated'.
-- grain: UTC day x connection x account x API key x line item x source
-- key: usage_date, connection_id, account_id, api_key_id, line_item, source
-- month: usage_date
-- owner: team:billing
-- Every cost row becomes exactly one charge: bindings and rates do not overlap (checks), and nothing is dropped by a
-- join. Whose it is, and under which version of the policy, is staging.tenant_costs; its price is billing.rates. Only
-- source provider is summed and invoiced; the others fill days whose real cost has not arrived, and go when it does.
-- Estimates of days that the policy names under invoiced_estimates are invoiced too, as items of their own.
-- column usage_date: UTC day of the cost.
-- column tenant_id: Who pays; 'unallocated' where nobody is bound.
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
-- column cost_usd: What the provider charges us, or is taken to, 18 decimals.
-- column multiplier: Sell price per dollar of cost; 0 for unallocated spend.
-- column billed_usd: cost_usd x multiplier, exact, 24 decimals.
-- column margin_rule_id: The rule the multiplier is from; NULL for unallocated spend.
-- column source: provider: the provider's own cost figure; estimated: from usage; fallback: operations x unit price.
-- column invoice_item: What it is called on an invoice, estimates as such; NULL for what is not invoiced.
-- column load_id: The load that brought the cost; NULL for what no provider said.
SELECT
    cost.usage_date,
    coalesce(cost.tenant_id, 'unallocated') AS tenant_id,
    cost.provider,
    cost.connection_id,
    cost.account_id,
    cost.api_key_id,
    cost.billed_account_id,
    cost.line_item,
    cost.model,
    cost.category,
    cost.quantity,
    cost.quantity_unit,
    cost.cost_usd,
    CASE WHEN cost.tenant_id IS NULL THEN CAST(0 AS DECIMAL(9, 6)) ELSE rate.multiplier END AS multiplier,
    CAST(cost.cost_usd * CASE WHEN cost.tenant_id IS NULL THEN CAST(0 AS DECIMAL(9, 6)) ELSE rate.multiplier END
        AS DECIMAL(38, 24)) AS billed_usd,
    rate.margin_rule_id,
    cost.source,
    CASE
        WHEN cost.tenant_id IS NULL THEN NULL
        WHEN cost.source = 'provider' THEN cost.line_item
        WHEN named.rule_id IS NOT NULL
            THEN CASE WHEN cost.line_item = '' THEN 'not itemised' ELSE cost.line_item END || ' (' || cost.source || ')'
    END AS invoice_item,
    cost.load_id
FROM staging.tenant_costs AS cost
LEFT JOIN billing.rates AS rate
    ON rate.month = strftime(cost.usage_date, '%Y-%m')
    AND rate.tenant_id = cost.tenant_id
    AND rate.provider = cost.provider
    AND rate.model IS NOT DISTINCT FROM cost.model
    AND rate.line_item = cost.line_item
    AND rate.category = cost.category
    AND rate.valid_from <= cost.usage_date
    AND cost.usage_date < rate.valid_until
LEFT JOIN policy.invoiced_estimates AS named
    ON named.policy_sha256 = cost.policy_sha256
    AND named.tenant_id = cost.tenant_id
    AND named.valid_from <= cost.usage_date
    AND cost.usage_date < named.valid_until
