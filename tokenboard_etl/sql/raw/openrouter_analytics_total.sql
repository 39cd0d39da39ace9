-- grain: UTC day, of one load
-- key: usage_date
-- owner: team:data
-- The control total: asked for apart, without grouping.
WITH page AS (
    SELECT from_json(body, '{"data": {"metadata": {"truncated": "BOOLEAN"}, "data": [{"date__day": "VARCHAR",
        "created_at__day": "VARCHAR", "credits_usage": "DECIMAL(38,18)"}]}}').data AS answer
    FROM landed
),
spend AS (
    SELECT unnest(answer.data) AS row FROM page WHERE NOT answer.metadata.truncated
)
SELECT left(coalesce(row.date__day, row.created_at__day), 10)::DATE AS usage_date, coalesce(sum(row.credits_usage), 0) AS cost_usd
FROM spend
GROUP BY 1
