-- grain: UTC day, of one load
-- key: usage_date
-- owner: team:data
-- The control total: asked for apart, without grouping. Of each page only the days it was asked for count.
WITH page AS (
    SELECT
        from_json(context, '{"days": ["VARCHAR"]}').days AS days,
        len(json_extract(body, '$.data.data[*].credits_usage')) = json_array_length(body, '$.data.data') AS has_costs,
        from_json(body, '{"data": {"metadata": {"truncated": "BOOLEAN"}, "data": [{"date__day": "VARCHAR",
        "created_at__day": "VARCHAR", "credits_usage": "DECIMAL(38,18)"}]}}').data AS answer
    FROM landed
),
spend AS (
    SELECT days, has_costs, unnest(answer.data) AS row FROM page WHERE NOT answer.metadata.truncated
),
dated AS (
    SELECT left(coalesce(row.date__day, row.created_at__day), 10) AS day, days, has_costs, row.credits_usage AS credits_usage
    FROM spend
)
SELECT
    day::DATE AS usage_date,
    CASE WHEN bool_and(has_costs) THEN coalesce(sum(credits_usage), 0) END AS cost_usd
FROM dated
WHERE days IS NULL OR (day >= days[1] AND day < days[2])
GROUP BY 1
