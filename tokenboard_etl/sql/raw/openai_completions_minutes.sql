-- grain: minute x project x model x API key x batch x service tier, of one load
-- key: minute_at, project_id, model, api_key_id, batch, service_tier
-- owner: team:data
-- input_tokens includes cached and cache-write tokens; where the uncached part is absent it is what remains.
WITH bucket AS (
    SELECT unnest(from_json(body, '{"data": [{"start_time": "BIGINT", "results": [{
        "project_id": "VARCHAR", "model": "VARCHAR", "api_key_id": "VARCHAR", "batch": "BOOLEAN",
        "service_tier": "VARCHAR", "input_tokens": "BIGINT", "input_uncached_tokens": "BIGINT",
        "input_cached_tokens": "BIGINT", "input_cache_write_tokens": "BIGINT", "output_tokens": "BIGINT",
        "input_audio_tokens": "BIGINT", "input_cached_audio_tokens": "BIGINT", "output_audio_tokens": "BIGINT",
        "input_image_tokens": "BIGINT", "input_cached_image_tokens": "BIGINT", "output_image_tokens": "BIGINT",
        "num_model_requests": "BIGINT"}]}]}').data) AS bucket
    FROM landed
),
usage_row AS (
    SELECT make_timestamptz(bucket.start_time * 1000000) AS minute_at, unnest(bucket.results) AS row FROM bucket
)
SELECT
    CAST(minute_at AS DATE) AS usage_date,
    minute_at,
    coalesce(row.project_id, '') AS project_id,
    coalesce(row.model, '') AS model,
    coalesce(row.api_key_id, '') AS api_key_id,
    coalesce(row.batch::VARCHAR, '') AS batch,
    coalesce(row.service_tier, '') AS service_tier,
    CASE WHEN count(row.input_tokens) = count(*) THEN sum(row.input_tokens) END AS input_tokens,
    sum(coalesce(row.input_uncached_tokens,
        row.input_tokens - coalesce(row.input_cached_tokens, 0) - coalesce(row.input_cache_write_tokens, 0))) AS input_uncached_tokens,
    sum(row.input_cached_tokens) AS input_cached_tokens,
    sum(row.input_cache_write_tokens) AS input_cache_write_tokens,
    CASE WHEN count(row.output_tokens) = count(*) THEN sum(row.output_tokens) END AS output_tokens,
    sum(row.input_audio_tokens) AS input_audio_tokens,
    sum(row.input_cached_audio_tokens) AS input_cached_audio_tokens,
    sum(row.output_audio_tokens) AS output_audio_tokens,
    sum(row.input_image_tokens) AS input_image_tokens,
    sum(row.input_cached_image_tokens) AS input_cached_image_tokens,
    sum(row.output_image_tokens) AS output_image_tokens,
    CASE WHEN count(row.num_model_requests) = count(*) THEN sum(row.num_model_requests) END AS requests
FROM usage_row
GROUP BY 1, 2, 3, 4, 5, 6, 7
