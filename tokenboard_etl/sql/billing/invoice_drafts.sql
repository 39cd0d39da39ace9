-- The lines each tenant's invoice of a month would have now. Recomputed freely until the month is closed.
-- grain: UTC month x tenant x provider x account x line item x margin rule
-- key: month, tenant_id, provider, account_id, line_item, margin_rule_id
-- month: month
-- owner: team:billing
-- column month: UTC month, YYYY-MM.
-- column tenant_id: Tenant; unallocated spend has no invoice.
-- column provider: openai or openrouter.
-- column account_id: Project id or key hash; API key id where only the key is the tenant's.
-- column line_item: The provider's line item or model; estimates that are invoiced are items of their own and say so.
-- column margin_rule_id: The rule that set the price.
-- column quantity: How much, in unit; NULL where units differ or the provider does not say.
-- column unit: Unit of the quantity.
-- column cost_usd: What the provider charges us; never printed.
-- column billed_exact: The billed figure in USD before rounding.
-- column last_day: Newest UTC day of the line's costs.
SELECT
    strftime(usage_date, '%Y-%m') AS month,
    tenant_id,
    provider,
    billed_account_id AS account_id,
    invoice_item AS line_item,
    margin_rule_id,
    CASE WHEN min(coalesce(quantity_unit, '')) = max(coalesce(quantity_unit, '')) THEN sum(quantity) END AS quantity,
    CASE WHEN min(coalesce(quantity_unit, '')) = max(coalesce(quantity_unit, '')) THEN max(quantity_unit) END AS unit,
    sum(cost_usd) AS cost_usd,
    sum(billed_usd) AS billed_exact,
    max(usage_date) AS last_day
FROM billing.charges
WHERE invoice_item IS NOT NULL
GROUP BY 1, 2, 3, 4, 5, 6
