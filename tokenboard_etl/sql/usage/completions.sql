-- Tokens and requests of OpenAI's chat completions and responses, by everything a price depends on.
-- grain: UTC day x connection x project x model x API key x user x batch x service tier
-- key: usage_date, connection_id, project_id, model, api_key_id, user_id, batch, service_tier
-- month: usage_date
-- owner: team:data
-- Usage explains a bill and never makes one: charges come from the provider's costs.
-- column usage_date: UTC day.
-- column connection_id: The OpenAI organization.
-- column project_id: Project; empty where the provider does not say.
-- column model: Model; empty where the provider does not say.
-- column api_key_id: API key; empty where the provider does not say.
-- column user_id: User; empty where the provider does not say.
-- column batch: true or false; empty where the provider does not say.
-- column service_tier: Service tier; empty where the provider does not say.
-- column input_tokens: All input, cached and cache-write tokens included.
-- column input_uncached_tokens: Input at the full price.
-- column input_cached_tokens: Input read from the cache.
-- column input_cache_write_tokens: Input written to the cache.
-- column output_tokens: All output, reasoning included.
-- column input_audio_tokens: Uncached audio input.
-- column input_cached_audio_tokens: Audio input read from the cache.
-- column output_audio_tokens: Audio output.
-- column input_image_tokens: Uncached image input.
-- column input_cached_image_tokens: Image input read from the cache.
-- column output_image_tokens: Image output.
-- column requests: Model requests.
-- column estimated_cost_usd: Tokens x price; NULL where any token has no price.
-- column price_model: The name in the price book; NULL where the model is not in it.
-- column price_version: The price list the prices are from, and the policy where it overrides one; NULL where there is no estimate.
-- column unpriced_reason: Why there is no estimate; NULL where there is one.
SELECT
    usage_date,
    connection_id,
    project_id,
    model,
    api_key_id,
    user_id,
    batch,
    service_tier,
    input_tokens,
    input_uncached_tokens,
    input_cached_tokens,
    input_cache_write_tokens,
    output_tokens,
    input_audio_tokens,
    input_cached_audio_tokens,
    output_audio_tokens,
    input_image_tokens,
    input_cached_image_tokens,
    output_image_tokens,
    requests,
    estimated_cost_usd,
    price_model,
    price_version,
    unpriced_reason
FROM staging.priced_completions
WHERE minute_at IS NULL
