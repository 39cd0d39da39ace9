-- grain: UTC day x key (NULL: the whole account) x model, of one load
-- key: usage_date, key_hash, model
-- owner: team:data
-- A page is left out when it was superseded by narrower questions: it was truncated, or a group of keys was
-- answered with a name that was not asked for. Key names are turned into the hashes that were asked for.
-- A null credits_usage means none was used; one that is absent though asked for leaves cost_usd NULL, which the table
-- refuses. Of each page only the days it was asked for count: a provider that includes the end of a time range tells that
-- day twice, here and in the question that begins with it. Landings from before this was noted do not say their days.
WITH page AS (
    SELECT
        page_no,
        from_json(context, '{"dimensions": ["VARCHAR"], "key_names": "MAP(VARCHAR, VARCHAR)", "days": ["VARCHAR"]}') AS asked,
        from_json(body, '{"data": {"metadata": {"truncated": "BOOLEAN"}, "data": [{
            "date__day": "VARCHAR", "created_at__day": "VARCHAR", "api_key_id": "VARCHAR", "model": "VARCHAR",
            "credits_usage": "DECIMAL(38,18)", "byok_usage": "DECIMAL(38,18)", "request_count": "BIGINT"}]}}').data AS answer,
        len(json_extract(body, '$.data.data[*].credits_usage')) = json_array_length(body, '$.data.data') AS has_costs
    FROM landed
),
spend AS (
    SELECT page_no, asked, has_costs, list_contains(asked.dimensions, 'api_key_id') AS by_key, unnest(answer.data) AS row
    FROM page
    WHERE NOT answer.metadata.truncated
),
named AS (
    SELECT
        page_no,
        by_key,
        has_costs,
        row,
        left(coalesce(row.date__day, row.created_at__day), 10) AS day,
        asked.days AS days,
        CASE WHEN by_key THEN
            CASE WHEN cardinality(asked.key_names) = 1 THEN map_values(asked.key_names)[1] ELSE asked.key_names[row.api_key_id] END
        END AS key_hash
    FROM spend
),
superseded AS (
    SELECT DISTINCT page_no FROM named WHERE by_key AND key_hash IS NULL
)
SELECT
    day::DATE AS usage_date,
    key_hash,
    coalesce(row.model, '') AS model,
    CASE WHEN bool_and(has_costs) THEN coalesce(sum(row.credits_usage), 0) END AS cost_usd,
    coalesce(sum(row.byok_usage), 0) AS byok_usage_usd,
    sum(row.request_count) AS requests,
    count(*) AS provider_rows
FROM named
WHERE page_no NOT IN (SELECT page_no FROM superseded) AND (days IS NULL OR (day >= days[1] AND day < days[2]))
GROUP BY 1, 2, 3
