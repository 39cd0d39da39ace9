-- OpenAI's usage outside completions: quantities that explain the rest of the costs, one row per measure.
-- grain: UTC day x connection x endpoint x project x model x API key x user x further dimensions x measure
-- key: usage_date, connection_id, endpoint, project_id, model, api_key_id, user_id, batch, service_tier, size, source, vector_store_id, context_level, measure
-- month: usage_date
-- owner: team:data
-- A measure the provider did not send has no row. Measures are not to be added to each other: input_tokens holds the
-- cached, uncached, text, audio and image parts that stand beside it.
-- column usage_date: UTC day.
-- column connection_id: The OpenAI organization.
-- column endpoint: Which of the provider's usage endpoints: embeddings, images, web_search_calls and so on.
-- column project_id: Project; empty where the provider does not say.
-- column model: Model; empty where the provider does not say or the endpoint has none.
-- column api_key_id: API key; empty where the provider does not say or the endpoint has none.
-- column user_id: User; empty where the provider does not say or the endpoint has none.
-- column batch: true or false, for decisions; empty elsewhere.
-- column service_tier: Service tier, for decisions; empty elsewhere.
-- column size: Image size, for images; empty elsewhere.
-- column source: image.generation, image.edit or image.variation, for images; empty elsewhere.
-- column vector_store_id: The store that was searched, for file_search_calls; empty elsewhere.
-- column context_level: low, medium or high, for web_search_calls; empty elsewhere.
-- column measure: What was counted; requests are model requests, calls are tool calls.
-- column unit: tokens, images, characters, seconds, bytes, sessions, calls or requests.
-- column quantity: How much, in unit.
SELECT
    usage_date,
    connection_id,
    endpoint,
    project_id,
    model,
    api_key_id,
    user_id,
    batch,
    service_tier,
    size,
    source,
    vector_store_id,
    context_level,
    measure,
    CASE
        WHEN measure LIKE '%tokens' THEN 'tokens'
        WHEN measure = 'usage_bytes' THEN 'bytes'
        ELSE measure
    END AS unit,
    quantity
FROM raw.openai_other_usage
