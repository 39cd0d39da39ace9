-- OpenAI's raw cost rows as values that can be restated; reads the relation `cost_rows`.
-- grain: UTC day x project x API key x line item
-- key: usage_date, account_id, api_key_id, line_item
-- owner: team:data
SELECT usage_date, project_id AS account_id, api_key_id, line_item, cost_usd
FROM cost_rows
