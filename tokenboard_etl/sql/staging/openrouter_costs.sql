-- OpenRouter's cost per key and model, and what no key explains.
-- grain: UTC day x connection x key x model
-- key: usage_date, connection_id, account_id, line_item
-- owner: team:data
-- The account's total per model is the truth. What is left of it after all keys (keys deleted before they were read, the
-- chat room) stands under account_id '' so that nothing is lost and nothing is spread. A key that was deleted later keeps
-- what it was last known to cost, as far as the total and the keys that can still be read leave room for it.
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
WITH whole AS (
    SELECT usage_date, connection_id, model, cost_usd, requests, provider_rows, load_id
    FROM raw.openrouter_analytics
    WHERE key_hash IS NULL
),
told AS (
    SELECT
        analytics.usage_date, analytics.connection_id, analytics.key_hash, analytics.model, analytics.cost_usd,
        analytics.requests, analytics.provider_rows, analytics.load_id, gone.key_hash IS NOT NULL AS is_gone
    FROM raw.openrouter_analytics AS analytics
    LEFT JOIN ops.gone_key_days AS gone
        ON gone.connection_id = analytics.connection_id
        AND gone.usage_date = analytics.usage_date
        AND gone.key_hash = analytics.key_hash
    WHERE analytics.key_hash IS NOT NULL
),
living AS (
    SELECT usage_date, connection_id, model, sum(cost_usd) AS cost_usd, sum(requests) AS requests
    FROM told
    WHERE NOT is_gone
    GROUP BY usage_date, connection_id, model
),
gone AS (
    SELECT
        told.usage_date, told.connection_id, told.key_hash, told.model, told.cost_usd, told.requests,
        told.provider_rows, told.load_id,
        coalesce(whole.cost_usd, 0) - coalesce(living.cost_usd, 0)
            - coalesce(sum(told.cost_usd) OVER those_before, 0) AS room_usd,
        coalesce(whole.requests, 0) - coalesce(living.requests, 0)
            - coalesce(sum(told.requests) OVER those_before, 0) AS room_requests
    FROM told
    LEFT JOIN whole
        ON whole.usage_date = told.usage_date AND whole.connection_id = told.connection_id AND whole.model = told.model
    LEFT JOIN living
        ON living.usage_date = told.usage_date AND living.connection_id = told.connection_id AND living.model = told.model
    WHERE told.is_gone
    WINDOW those_before AS (
        PARTITION BY told.usage_date, told.connection_id, told.model ORDER BY told.key_hash
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
),
by_key AS (
    SELECT usage_date, connection_id, key_hash, model, cost_usd, requests, provider_rows, load_id
    FROM told
    WHERE NOT is_gone
    UNION ALL
    SELECT
        usage_date, connection_id, key_hash, model,
        greatest(least(cost_usd, room_usd), 0) AS cost_usd,
        CASE WHEN requests IS NOT NULL THEN greatest(least(requests, room_requests), 0) END AS requests,
        provider_rows, load_id
    FROM gone
),
explained AS (
    SELECT usage_date, connection_id, model, sum(cost_usd) AS cost_usd, sum(requests) AS requests
    FROM by_key
    GROUP BY usage_date, connection_id, model
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
