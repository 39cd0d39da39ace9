-- The price book with one row per price card: all a model's tokens cost in one tier, over the days it holds.
-- grain: model x tier x first day
-- key: model, tier, valid_from
-- owner: team:billing
-- A model that prices no audio (or image) apart counts it as text; one that does has no price for the parts it leaves
-- out. DECIMAL(19, 18) is below 10 USD a token; times DECIMAL(19, 0) tokens it is DECIMAL(38, 18) and cannot overflow.
-- column model: Model or alias in the price book.
-- column tier: default, batch, flex or priority.
-- column valid_from: First UTC day.
-- column valid_until: UTC day after the last one; NULL while it lasts.
-- column version_id: The price list that opened the card.
-- column input_usd_per_token: Uncached text input.
-- column audio_input_usd_per_token: Uncached audio input.
-- column image_input_usd_per_token: Uncached image input.
-- column cached_input_usd_per_token: Text input read from the cache.
-- column audio_cached_input_usd_per_token: Audio input read from the cache.
-- column image_cached_input_usd_per_token: Image input read from the cache.
-- column cache_write_usd_per_token: Input written to the cache.
-- column output_usd_per_token: Text output.
-- column audio_output_usd_per_token: Audio output.
-- column image_output_usd_per_token: Image output.
-- column prices_audio_apart: true where audio has prices of its own.
-- column prices_images_apart: true where images have prices of their own.
WITH card AS (
    SELECT
        model, tier, valid_from, valid_until, version_id,
        CAST(max(CASE WHEN token_kind = 'input' THEN usd_per_token END) AS DECIMAL(19, 18)) AS input,
        CAST(max(CASE WHEN token_kind = 'audio_input' THEN usd_per_token END) AS DECIMAL(19, 18)) AS audio_input,
        CAST(max(CASE WHEN token_kind = 'image_input' THEN usd_per_token END) AS DECIMAL(19, 18)) AS image_input,
        CAST(max(CASE WHEN token_kind = 'cached_input' THEN usd_per_token END) AS DECIMAL(19, 18)) AS cached_input,
        CAST(max(CASE WHEN token_kind = 'audio_cached_input' THEN usd_per_token END) AS DECIMAL(19, 18)) AS audio_cached_input,
        CAST(max(CASE WHEN token_kind = 'image_cached_input' THEN usd_per_token END) AS DECIMAL(19, 18)) AS image_cached_input,
        CAST(max(CASE WHEN token_kind = 'cache_write' THEN usd_per_token END) AS DECIMAL(19, 18)) AS cache_write,
        CAST(max(CASE WHEN token_kind = 'output' THEN usd_per_token END) AS DECIMAL(19, 18)) AS output,
        CAST(max(CASE WHEN token_kind = 'audio_output' THEN usd_per_token END) AS DECIMAL(19, 18)) AS audio_output,
        CAST(max(CASE WHEN token_kind = 'image_output' THEN usd_per_token END) AS DECIMAL(19, 18)) AS image_output,
        count(CASE WHEN token_kind LIKE 'audio%' THEN 1 END) AS audio_prices,
        count(CASE WHEN token_kind LIKE 'image%' THEN 1 END) AS image_prices
    FROM policy.prices
    WHERE valid_until IS NULL OR valid_from < valid_until
    GROUP BY model, tier, valid_from, valid_until, version_id
),
compared AS (
    SELECT
        *,
        max(audio_prices) OVER (PARTITION BY model, valid_from) > 0 AS prices_audio_apart,
        max(image_prices) OVER (PARTITION BY model, valid_from) > 0 AS prices_images_apart
    FROM card
)
SELECT
    model,
    tier,
    valid_from,
    valid_until,
    version_id,
    input AS input_usd_per_token,
    CASE WHEN prices_audio_apart THEN audio_input ELSE input END AS audio_input_usd_per_token,
    CASE WHEN prices_images_apart THEN image_input ELSE input END AS image_input_usd_per_token,
    cached_input AS cached_input_usd_per_token,
    CASE WHEN prices_audio_apart THEN audio_cached_input ELSE cached_input END AS audio_cached_input_usd_per_token,
    CASE WHEN prices_images_apart THEN image_cached_input ELSE cached_input END AS image_cached_input_usd_per_token,
    cache_write AS cache_write_usd_per_token,
    output AS output_usd_per_token,
    CASE WHEN prices_audio_apart THEN audio_output ELSE output END AS audio_output_usd_per_token,
    CASE WHEN prices_images_apart THEN image_output ELSE output END AS image_output_usd_per_token,
    prices_audio_apart,
    prices_images_apart
FROM compared
