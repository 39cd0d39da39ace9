-- OpenAI's cost rows, with the model read out of the line item where it names one.
-- grain: UTC day x connection x project x line item x API key
-- key: usage_date, connection_id, account_id, api_key_id, line_item
-- owner: team:data
-- column usage_date: UTC day of the cost.
-- column provider: openai.
-- column connection_id: The OpenAI organization.
-- column account_id: Project id; empty for cost of the organization itself.
-- column api_key_id: API key id; empty where the provider does not say.
-- column line_item: The provider's own text, unchanged.
-- column model: Model named by the line item; NULL for items that are no model.
-- column quantity: How much, in quantity_unit.
-- column quantity_unit: Unit of the quantity; NULL where the provider does not say.
-- column cost_usd: What the provider charges us.
-- column provider_rows: Rows the provider sent for this key.
-- column load_id: The load that brought the figure.
SELECT
    usage_date,
    'openai' AS provider,
    connection_id,
    project_id AS account_id,
    api_key_id,
    line_item,
    nullif(regexp_extract(line_item, '^(?:[^|]+? \| )?([A-Za-z0-9][A-Za-z0-9.:_-]*)(?: (?:text|audio|image))?, .+$', 1), '') AS model,
    quantity,
    quantity_unit,
    cost_usd,
    provider_rows,
    load_id
FROM raw.openai_costs
