-- grain: UTC day x key x endpoint x model x provider, of one load
-- key: usage_date, key_hash, endpoint_id, model_permaslug, provider_name
-- owner: team:data
-- Each page is one key's: the landing says whose. The date has been seen with a time part.
WITH activity AS (
    SELECT context ->> '$.key_hash' AS key_hash, unnest(from_json(body, '{"data": [{"date": "VARCHAR", "model": "VARCHAR", "model_permaslug": "VARCHAR",
        "endpoint_id": "VARCHAR", "provider_name": "VARCHAR", "usage": "DECIMAL(38,18)", "byok_usage_inference": "DECIMAL(38,18)",
        "requests": "BIGINT", "prompt_tokens": "BIGINT", "completion_tokens": "BIGINT", "reasoning_tokens": "BIGINT"}]}').data) AS row
    FROM landed
)
SELECT
    left(row.date, 10)::DATE AS usage_date,
    key_hash,
    any_value(row.model) AS model,
    row.model_permaslug AS model_permaslug,
    row.endpoint_id AS endpoint_id,
    row.provider_name AS provider_name,
    CASE WHEN count(row.usage) = count(*) THEN sum(row.usage) END AS cost_usd,
    CASE WHEN count(row.byok_usage_inference) = count(*) THEN sum(row.byok_usage_inference) END AS byok_usage_usd,
    sum(row.requests) AS requests,
    sum(row.prompt_tokens) AS prompt_tokens,
    sum(row.completion_tokens) AS completion_tokens,
    sum(row.reasoning_tokens) AS reasoning_tokens
FROM activity
GROUP BY 1, 2, 4, 5, 6
