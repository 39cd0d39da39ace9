-- What a token of each kind costs on the days a model was used: by the policy's overrides first, then by the price book.
-- grain: UTC day x model as usage spells it x tier
-- key: usage_date, model, tier
-- owner: team:billing
-- An override that matches the model's own name goes before one that matches its name in the book. A month that is closed
-- for everybody keeps the overrides it was closed with. Where audio (or images) have no price of their own, they have that
-- of text, the overridden one included. Models and tiers without any price are left out.
-- column usage_date: UTC day.
-- column model: Model as usage spells it.
-- column tier: default, batch, flex or priority.
-- column price_version: The price list; with the policy's version where an override has a part in it.
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
WITH counted AS (
    SELECT usage_date, model, batch, service_tier FROM raw.openai_completions
    UNION ALL
    SELECT usage_date, model, batch, service_tier FROM raw.openai_completions_minutes
),
used AS (
    SELECT DISTINCT
        usage_date, model,
        CASE WHEN batch = 'true' THEN 'batch' WHEN service_tier = '' THEN 'default' ELSE service_tier END AS tier
    FROM counted
),
named AS (
    SELECT
        used.usage_date, used.model, used.tier, name.price_model,
        coalesce(
            closed.policy_sha256,
            (SELECT policy_sha256 FROM policy.uses WHERE use_no = (SELECT max(use_no) FROM policy.uses))
        ) AS policy_sha256
    FROM used
    LEFT JOIN staging.price_names AS name ON name.usage_date = used.usage_date AND name.model = used.model
    LEFT JOIN billing.closed_months AS closed
        ON closed.month = strftime(used.usage_date, '%Y-%m') AND closed.tenant_id IS NULL
),
ranked AS (
    SELECT
        named.usage_date, named.model, named.tier, rule.policy_sha256, rule.token_kind, rule.usd_per_token,
        row_number() OVER (
            PARTITION BY named.usage_date, named.model, named.tier, rule.token_kind
            ORDER BY CASE WHEN named.model LIKE rule.model_like ESCAPE '!' THEN 0 ELSE 1 END, rule.precedence DESC
        ) AS place
    FROM named
    JOIN policy.price_overrides AS rule
        ON rule.policy_sha256 = named.policy_sha256
        AND rule.valid_from <= named.usage_date
        AND (rule.valid_until IS NULL OR named.usage_date < rule.valid_until)
        AND (rule.tier IS NULL OR rule.tier = named.tier)
        AND (named.model LIKE rule.model_like ESCAPE '!' OR named.price_model LIKE rule.model_like ESCAPE '!')
),
overridden AS (
    SELECT
        usage_date, model, tier, max(policy_sha256) AS policy_sha256,
        max(CASE WHEN token_kind = 'input' THEN usd_per_token END) AS input,
        max(CASE WHEN token_kind = 'audio_input' THEN usd_per_token END) AS audio_input,
        max(CASE WHEN token_kind = 'image_input' THEN usd_per_token END) AS image_input,
        max(CASE WHEN token_kind = 'cached_input' THEN usd_per_token END) AS cached_input,
        max(CASE WHEN token_kind = 'audio_cached_input' THEN usd_per_token END) AS audio_cached_input,
        max(CASE WHEN token_kind = 'image_cached_input' THEN usd_per_token END) AS image_cached_input,
        max(CASE WHEN token_kind = 'cache_write' THEN usd_per_token END) AS cache_write,
        max(CASE WHEN token_kind = 'output' THEN usd_per_token END) AS output,
        max(CASE WHEN token_kind = 'audio_output' THEN usd_per_token END) AS audio_output,
        max(CASE WHEN token_kind = 'image_output' THEN usd_per_token END) AS image_output
    FROM ranked
    WHERE place = 1
    GROUP BY usage_date, model, tier
)
SELECT
    named.usage_date,
    named.model,
    named.tier,
    concat_ws(' + ', card.version_id, 'policy ' || substr(own.policy_sha256, 1, 12)) AS price_version,
    coalesce(own.input, card.input_usd_per_token)
        AS input_usd_per_token,
    coalesce(own.audio_input, CASE WHEN card.prices_audio_apart THEN card.audio_input_usd_per_token ELSE coalesce(own.input, card.audio_input_usd_per_token) END)
        AS audio_input_usd_per_token,
    coalesce(own.image_input, CASE WHEN card.prices_images_apart THEN card.image_input_usd_per_token ELSE coalesce(own.input, card.image_input_usd_per_token) END)
        AS image_input_usd_per_token,
    coalesce(own.cached_input, card.cached_input_usd_per_token)
        AS cached_input_usd_per_token,
    coalesce(own.audio_cached_input, CASE WHEN card.prices_audio_apart THEN card.audio_cached_input_usd_per_token ELSE coalesce(own.cached_input, card.audio_cached_input_usd_per_token) END)
        AS audio_cached_input_usd_per_token,
    coalesce(own.image_cached_input, CASE WHEN card.prices_images_apart THEN card.image_cached_input_usd_per_token ELSE coalesce(own.cached_input, card.image_cached_input_usd_per_token) END)
        AS image_cached_input_usd_per_token,
    coalesce(own.cache_write, card.cache_write_usd_per_token)
        AS cache_write_usd_per_token,
    coalesce(own.output, card.output_usd_per_token)
        AS output_usd_per_token,
    coalesce(own.audio_output, CASE WHEN card.prices_audio_apart THEN card.audio_output_usd_per_token ELSE coalesce(own.output, card.audio_output_usd_per_token) END)
        AS audio_output_usd_per_token,
    coalesce(own.image_output, CASE WHEN card.prices_images_apart THEN card.image_output_usd_per_token ELSE coalesce(own.output, card.image_output_usd_per_token) END)
        AS image_output_usd_per_token,
    coalesce(card.prices_audio_apart, false)
        OR own.audio_input IS NOT NULL OR own.audio_cached_input IS NOT NULL OR own.audio_output IS NOT NULL
        AS prices_audio_apart,
    coalesce(card.prices_images_apart, false)
        OR own.image_input IS NOT NULL OR own.image_cached_input IS NOT NULL OR own.image_output IS NOT NULL
        AS prices_images_apart
FROM named
LEFT JOIN staging.price_cards AS card
    ON card.model = named.price_model
    AND card.tier = named.tier
    AND card.valid_from <= named.usage_date
    AND (card.valid_until IS NULL OR named.usage_date < card.valid_until)
LEFT JOIN overridden AS own
    ON own.usage_date = named.usage_date AND own.model = named.model AND own.tier = named.tier
WHERE card.model IS NOT NULL OR own.model IS NOT NULL
