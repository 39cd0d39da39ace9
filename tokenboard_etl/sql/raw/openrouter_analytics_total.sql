-- grain: UTC day, of one load
-- key: usage_date
-- owner: team:data
-- The control total: asked for apart, without grouping.
WITH page AS (
    SELECT
        len(json_extract(body, '$.data.data[*].credits_usage')) = json_array_length(body, '$.data.data') AS has_costs,
        from_json(body, '{"data": {"metadata": {"truncated": "BOOLEAN"}, "data": [{"date__day": "VARCHAR",
        "created_at__day": "VARCHAR", "credits_usage": "DECIMAL(38,18)"}]}}').data AS answer
    FROM landed
),
spend AS (
    SELECT has_costs, unnest(answer.data) AS row FROM page WHERE NOT answer.metadata.truncated
)
SELECT
    left(coalesce(row.date__day, row.created_at__day), 10)::DATE AS usage_date,
    CASE WHEN bool_and(has_costs) THEN coalesce(sum(row.credits_usage), 0) END AS cost_usd
FROM spend
GROUP BY 1
