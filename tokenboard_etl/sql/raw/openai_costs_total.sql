-- grain: UTC day, of one load
-- key: usage_date
-- owner: team:data
-- The control total: asked for apart, without grouping.
WITH bucket AS (
    SELECT unnest(from_json(body, '{"data": [{"start_time": "BIGINT", "results": [{"amount": {"value": "DECIMAL(38,18)"}}]}]}').data) AS bucket
    FROM landed
),
cost AS (
    SELECT make_timestamp(bucket.start_time * 1000000)::DATE AS usage_date, unnest(bucket.results) AS row FROM bucket
)
SELECT usage_date, CASE WHEN count(row.amount.value) = count(*) THEN sum(row.amount.value) END AS cost_usd
FROM cost
GROUP BY 1
