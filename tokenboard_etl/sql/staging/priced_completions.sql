-- Token usage priced by the policy's overrides and the book. The only place where tokens meet prices: whatever else counts tokens in these columns
-- becomes one more branch of `counted` and is priced by the same lines.
-- grain: UTC day (or minute of it) x connection x project x model x API key x user x batch x service tier
-- key: usage_date, minute_at, connection_id, project_id, model, api_key_id, user_id, batch, service_tier
-- owner: team:billing
-- Audio and images are parts of the totals, so text is what remains of each; every token is counted once. Prompts over
-- 272 thousand tokens cost more, which daily sums cannot tell: they are priced like all others.
-- column usage_date: UTC day.
-- column minute_at: Start of the minute, where usage is counted by the minute; NULL where it is counted by the day.
-- column connection_id: The OpenAI organization.
-- column project_id: Project; empty where the provider does not say.
-- column model: Model; empty where the provider does not say.
-- column api_key_id: API key; empty where the provider does not say.
-- column user_id: User; empty where the provider does not say, and in all minutes.
-- column batch: true or false; empty where the provider does not say, priced as false.
-- column service_tier: Service tier; empty where the provider does not say, priced as default.
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
WITH counted AS (
    SELECT
        usage_date, CAST(NULL AS TIMESTAMPTZ) AS minute_at,
        connection_id, project_id, model, api_key_id, user_id, batch, service_tier,
        input_tokens, input_uncached_tokens, input_cached_tokens, input_cache_write_tokens, output_tokens,
        input_audio_tokens, input_cached_audio_tokens, output_audio_tokens,
        input_image_tokens, input_cached_image_tokens, output_image_tokens, requests
    FROM raw.openai_completions
    UNION ALL
    SELECT
        usage_date, minute_at,
        connection_id, project_id, model, api_key_id, '' AS user_id, batch, service_tier,
        input_tokens, input_uncached_tokens, input_cached_tokens, input_cache_write_tokens, output_tokens,
        input_audio_tokens, input_cached_audio_tokens, output_audio_tokens,
        input_image_tokens, input_cached_image_tokens, output_image_tokens, requests
    FROM raw.openai_completions_minutes
),
apart AS (
    SELECT
        *,
        CASE WHEN batch = 'true' THEN 'batch' WHEN service_tier = '' THEN 'default' ELSE service_tier END AS tier,
        coalesce(input_uncached_tokens, input_tokens - coalesce(input_cached_tokens, 0) - coalesce(input_cache_write_tokens, 0))
            AS uncached,
        coalesce(input_cached_tokens, 0) AS cached,
        coalesce(input_cache_write_tokens, 0) AS cache_write,
        coalesce(input_audio_tokens, 0) AS audio,
        coalesce(input_image_tokens, 0) AS image,
        coalesce(input_cached_audio_tokens, 0) AS cached_audio,
        coalesce(input_cached_image_tokens, 0) AS cached_image,
        coalesce(output_audio_tokens, 0) AS output_audio,
        coalesce(output_image_tokens, 0) AS output_image
    FROM counted
),
part AS (
    SELECT
        *,
        TRY_CAST(uncached - audio - image AS DECIMAL(19, 0)) AS input_part,
        TRY_CAST(audio AS DECIMAL(19, 0)) AS audio_input_part,
        TRY_CAST(image AS DECIMAL(19, 0)) AS image_input_part,
        TRY_CAST(cached - cached_audio - cached_image AS DECIMAL(19, 0)) AS cached_input_part,
        TRY_CAST(cached_audio AS DECIMAL(19, 0)) AS audio_cached_input_part,
        TRY_CAST(cached_image AS DECIMAL(19, 0)) AS image_cached_input_part,
        TRY_CAST(cache_write AS DECIMAL(19, 0)) AS cache_write_part,
        TRY_CAST(output_tokens - output_audio - output_image AS DECIMAL(19, 0)) AS output_part,
        TRY_CAST(output_audio AS DECIMAL(19, 0)) AS audio_output_part,
        TRY_CAST(output_image AS DECIMAL(19, 0)) AS image_output_part,
        uncached + cached + cache_write = input_tokens
            AND audio + image <= uncached
            AND cached_audio + cached_image <= cached
            AND output_audio + output_image <= output_tokens AS parts_add_up
    FROM apart
),
priced AS (
    SELECT
        part.*,
        name.price_model,
        card.price_version,
        CASE WHEN input_part = 0 THEN 0 ELSE input_part * card.input_usd_per_token END
            + CASE WHEN audio_input_part = 0 THEN 0 ELSE audio_input_part * card.audio_input_usd_per_token END
            + CASE WHEN image_input_part = 0 THEN 0 ELSE image_input_part * card.image_input_usd_per_token END
            + CASE WHEN cached_input_part = 0 THEN 0 ELSE cached_input_part * card.cached_input_usd_per_token END
            + CASE WHEN audio_cached_input_part = 0 THEN 0 ELSE audio_cached_input_part * card.audio_cached_input_usd_per_token END
            + CASE WHEN image_cached_input_part = 0 THEN 0 ELSE image_cached_input_part * card.image_cached_input_usd_per_token END
            + CASE WHEN cache_write_part = 0 THEN 0 ELSE cache_write_part * card.cache_write_usd_per_token END
            + CASE WHEN output_part = 0 THEN 0 ELSE output_part * card.output_usd_per_token END
            + CASE WHEN audio_output_part = 0 THEN 0 ELSE audio_output_part * card.audio_output_usd_per_token END
            + CASE WHEN image_output_part = 0 THEN 0 ELSE image_output_part * card.image_output_usd_per_token END AS product_usd,
        CASE
            WHEN NOT parts_add_up THEN 'the parts do not add up to the total'
            WHEN input_tokens = 0 AND output_tokens = 0 THEN NULL
            WHEN card.model IS NULL AND name.price_model IS NULL THEN 'no price for the model'
            WHEN card.model IS NULL THEN 'no price in the tier ' || part.tier
            WHEN card.prices_audio_apart AND (input_audio_tokens IS NULL AND uncached <> 0
                OR input_cached_audio_tokens IS NULL AND cached <> 0
                OR output_audio_tokens IS NULL AND output_tokens <> 0) THEN 'how much is audio is not known'
            WHEN card.prices_images_apart AND (input_image_tokens IS NULL AND uncached <> 0
                OR input_cached_image_tokens IS NULL AND cached <> 0
                OR output_image_tokens IS NULL AND output_tokens <> 0) THEN 'how much is images is not known'
        END AS obstacle,
        concat_ws(', ',
            CASE WHEN input_part <> 0 AND card.input_usd_per_token IS NULL THEN 'input' END,
            CASE WHEN audio_input_part <> 0 AND card.audio_input_usd_per_token IS NULL THEN 'audio input' END,
            CASE WHEN image_input_part <> 0 AND card.image_input_usd_per_token IS NULL THEN 'image input' END,
            CASE WHEN cached_input_part <> 0 AND card.cached_input_usd_per_token IS NULL THEN 'cached input' END,
            CASE WHEN audio_cached_input_part <> 0 AND card.audio_cached_input_usd_per_token IS NULL THEN 'cached audio input' END,
            CASE WHEN image_cached_input_part <> 0 AND card.image_cached_input_usd_per_token IS NULL THEN 'cached image input' END,
            CASE WHEN cache_write_part <> 0 AND card.cache_write_usd_per_token IS NULL THEN 'cache writes' END,
            CASE WHEN output_part <> 0 AND card.output_usd_per_token IS NULL THEN 'output' END,
            CASE WHEN audio_output_part <> 0 AND card.audio_output_usd_per_token IS NULL THEN 'audio output' END,
            CASE WHEN image_output_part <> 0 AND card.image_output_usd_per_token IS NULL THEN 'image output' END) AS missing_prices
    FROM part
    LEFT JOIN staging.price_names AS name ON name.usage_date = part.usage_date AND name.model = part.model
    LEFT JOIN staging.token_prices AS card
        ON card.usage_date = part.usage_date AND card.model = part.model AND card.tier = part.tier
),
explained AS (
    SELECT
        *,
        CASE
            WHEN obstacle IS NOT NULL THEN obstacle
            WHEN missing_prices <> '' THEN 'no price for ' || missing_prices
            WHEN product_usd IS NULL THEN 'more tokens than can be'
        END AS unpriced_reason
    FROM priced
)
SELECT
    usage_date, minute_at, connection_id, project_id, model, api_key_id, user_id, batch, service_tier,
    input_tokens, input_uncached_tokens, input_cached_tokens, input_cache_write_tokens, output_tokens,
    input_audio_tokens, input_cached_audio_tokens, output_audio_tokens,
    input_image_tokens, input_cached_image_tokens, output_image_tokens, requests,
    CASE WHEN unpriced_reason IS NULL THEN product_usd END AS estimated_cost_usd,
    price_model,
    CASE WHEN unpriced_reason IS NULL THEN price_version END AS price_version,
    unpriced_reason
FROM explained
