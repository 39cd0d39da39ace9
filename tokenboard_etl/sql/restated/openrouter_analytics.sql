-- OpenRouter's raw analytics rows as values that can be restated; reads the relation `cost_rows`.
-- grain: UTC day x key x model, and UTC day x model for what no key explains
-- key: usage_date, account_id, api_key_id, line_item
-- owner: team:data
SELECT
    usage_date,
    coalesce(key_hash, '') AS account_id,
    coalesce(key_hash, '') AS api_key_id,
    model AS line_item,
    CAST(
        cost_usd - CASE WHEN key_hash IS NULL THEN coalesce(sum(cost_usd) FILTER (key_hash IS NOT NULL) OVER by_model, 0) ELSE 0 END
        AS DECIMAL(38, 18)
    ) AS cost_usd
FROM cost_rows
WINDOW by_model AS (PARTITION BY usage_date, model)
