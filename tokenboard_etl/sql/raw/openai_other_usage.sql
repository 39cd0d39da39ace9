-- grain: UTC day x project x model x API key x user x further dimensions x measure, of one load of one endpoint
-- key: usage_date, project_id, model, api_key_id, user_id, batch, service_tier, size, source, vector_store_id, context_level, measure
-- owner: team:data
-- A measure that is absent gives no row: it is not zero. Older answers say `sessions` for `num_sessions`.
WITH bucket AS (
    SELECT unnest(from_json(body, '{"data": [{"start_time": "BIGINT", "results": [{
        "project_id": "VARCHAR", "model": "VARCHAR", "api_key_id": "VARCHAR", "user_id": "VARCHAR", "batch": "BOOLEAN",
        "service_tier": "VARCHAR", "size": "VARCHAR", "source": "VARCHAR", "vector_store_id": "VARCHAR", "context_level": "VARCHAR",
        "input_tokens": "BIGINT", "input_uncached_tokens": "BIGINT", "input_cached_tokens": "BIGINT",
        "input_cache_write_tokens": "BIGINT", "output_tokens": "BIGINT", "input_text_tokens": "BIGINT",
        "output_text_tokens": "BIGINT", "input_cached_text_tokens": "BIGINT", "input_audio_tokens": "BIGINT",
        "input_cached_audio_tokens": "BIGINT", "output_audio_tokens": "BIGINT", "input_image_tokens": "BIGINT",
        "input_cached_image_tokens": "BIGINT", "output_image_tokens": "BIGINT", "images": "BIGINT", "characters": "BIGINT",
        "seconds": "BIGINT", "usage_bytes": "BIGINT", "num_sessions": "BIGINT", "sessions": "BIGINT",
        "num_requests": "BIGINT", "num_model_requests": "BIGINT"}]}]}').data) AS bucket
    FROM landed
),
usage_row AS (
    SELECT make_timestamp(bucket.start_time * 1000000)::DATE AS usage_date, unnest(bucket.results) AS row FROM bucket
),
measured AS (
    SELECT usage_date, row, unnest([
        {measure: 'input_tokens', quantity: row.input_tokens},
        {measure: 'input_uncached_tokens', quantity: row.input_uncached_tokens},
        {measure: 'input_cached_tokens', quantity: row.input_cached_tokens},
        {measure: 'input_cache_write_tokens', quantity: row.input_cache_write_tokens},
        {measure: 'output_tokens', quantity: row.output_tokens},
        {measure: 'input_text_tokens', quantity: row.input_text_tokens},
        {measure: 'output_text_tokens', quantity: row.output_text_tokens},
        {measure: 'input_cached_text_tokens', quantity: row.input_cached_text_tokens},
        {measure: 'input_audio_tokens', quantity: row.input_audio_tokens},
        {measure: 'input_cached_audio_tokens', quantity: row.input_cached_audio_tokens},
        {measure: 'output_audio_tokens', quantity: row.output_audio_tokens},
        {measure: 'input_image_tokens', quantity: row.input_image_tokens},
        {measure: 'input_cached_image_tokens', quantity: row.input_cached_image_tokens},
        {measure: 'output_image_tokens', quantity: row.output_image_tokens},
        {measure: 'images', quantity: row.images},
        {measure: 'characters', quantity: row.characters},
        {measure: 'seconds', quantity: row.seconds},
        {measure: 'usage_bytes', quantity: row.usage_bytes},
        {measure: 'sessions', quantity: coalesce(row.num_sessions, row.sessions)},
        {measure: 'calls', quantity: row.num_requests},
        {measure: 'requests', quantity: row.num_model_requests}
    ]) AS each
    FROM usage_row
)
SELECT
    usage_date,
    coalesce(row.project_id, '') AS project_id,
    coalesce(row.model, '') AS model,
    coalesce(row.api_key_id, '') AS api_key_id,
    coalesce(row.user_id, '') AS user_id,
    coalesce(row.batch::VARCHAR, '') AS batch,
    coalesce(row.service_tier, '') AS service_tier,
    coalesce(row.size, '') AS size,
    coalesce(row.source, '') AS source,
    coalesce(row.vector_store_id, '') AS vector_store_id,
    coalesce(row.context_level, '') AS context_level,
    each.measure AS measure,
    sum(each.quantity)::DECIMAL(38, 9) AS quantity
FROM measured
WHERE each.quantity IS NOT NULL
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12
