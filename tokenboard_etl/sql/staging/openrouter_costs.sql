-- OpenRouter's cost per key and model, and what no key explains.
-- grain: UTC day x connection x key x model
-- key: usage_date, connection_id, account_id, line_item
-- owner: team:data
-- The account's total per model is the truth. What is left of it after all keys (deleted keys, the chat room)
-- stands under account_id '' so that nothing is lost and nothing is spread.
-- column usage_date: UTC day of the cost.
-- column provider: openrouter.
-- column connection_id: The OpenRouter account.
-- column account_id: Key hash; empty for what no key explains.
-- column api_key_id: The same key hash.
-- column line_item: Model, as analytics names it.
-- column model: The same model.
-- column quantity: Requests.
-- column quantity_unit: requests.
-- column cost_usd: OpenRouter credits deducted, in USD.
-- column provider_rows: Rows the provider sent for this key.
-- column load_id: The load that brought the figure.
WITH by_key AS (
    SELECT usage_date, connection_id, key_hash, model, cost_usd, requests, provider_rows, load_id
    FROM raw.openrouter_analytics
    WHERE key_hash IS NOT NULL
),
explained AS (
    SELECT usage_date, connection_id, model, sum(cost_usd) AS cost_usd, sum(requests) AS requests
    FROM by_key
    GROUP BY usage_date, connection_id, model
),
whole AS (
    SELECT usage_date, connection_id, model, cost_usd, requests, provider_rows, load_id
    FROM raw.openrouter_analytics
    WHERE key_hash IS NULL
),
unexplained AS (
    SELECT
        coalesce(whole.usage_date, explained.usage_date) AS usage_date,
        coalesce(whole.connection_id, explained.connection_id) AS connection_id,
        coalesce(whole.model, explained.model) AS model,
        coalesce(whole.cost_usd, 0) - coalesce(explained.cost_usd, 0) AS cost_usd,
        coalesce(whole.requests, 0) - coalesce(explained.requests, 0) AS requests,
        coalesce(whole.provider_rows, 0) AS provider_rows,
        whole.load_id AS load_id
    FROM whole
    FULL OUTER JOIN explained
        ON whole.usage_date = explained.usage_date
        AND whole.connection_id = explained.connection_id
        AND whole.model = explained.model
),
cost AS (
    SELECT usage_date, connection_id, key_hash, model, cost_usd, requests, provider_rows, load_id FROM by_key
    UNION ALL
    SELECT usage_date, connection_id, '' AS key_hash, model, cost_usd, requests, provider_rows, load_id
    FROM unexplained
    WHERE cost_usd <> 0 OR requests <> 0
)
SELECT
    usage_date,
    'openrouter' AS provider,
    connection_id,
    key_hash AS account_id,
    key_hash AS api_key_id,
    model AS line_item,
    nullif(model, '') AS model,
    CAST(requests AS DECIMAL(38, 9)) AS quantity,
    'requests' AS quantity_unit,
    CAST(cost_usd AS DECIMAL(38, 18)) AS cost_usd,
    provider_rows,
    load_id
FROM cost
