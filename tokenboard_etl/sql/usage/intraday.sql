-- What is being spent on days whose real cost has not arrived yet: estimates and live counters, minute by minute.
-- grain: minute x connection x project or key x API key x model x batch x service tier
-- key: minute_at, connection_id, account_id, api_key_id, model, batch, service_tier
-- severity: warning
-- owner: team:data
-- No bill is made from it. OpenAI's tokens are priced by the book. OpenRouter's keys have a counter of the UTC day: a
-- row is what it grew by since the reading before, at the minute it was read (the first one of a day: since 00:00), so
-- that the rows of a day add up to the newest reading. Bindings are those of billing.charges; margins are those of the
-- policy in use, but for rules of a line item or a category, which nobody knows before the cost is there. A tenant's own
-- account is that tenant's, and never billed.
-- column minute_at: Start of the minute (UTC); for OpenRouter the minute of the reading.
-- column usage_date: UTC day.
-- column provider: openai or openrouter.
-- column connection_id: The provider account.
-- column account_id: Project id or key hash; empty where the provider does not say.
-- column api_key_id: API key id or key hash; empty where the provider does not say.
-- column model: Model; NULL where the provider does not say.
-- column batch: true or false; NULL where the provider does not say.
-- column service_tier: Service tier; NULL where the provider does not say.
-- column tenant_id: Whose it is; 'unallocated' where nobody is bound.
-- column input_tokens: All input, cached and cache-write tokens included; NULL for counters.
-- column input_cached_tokens: Input read from the cache; NULL where the provider does not say.
-- column output_tokens: All output, reasoning included; NULL for counters.
-- column requests: Model requests; NULL for counters.
-- column estimated_cost_usd: Tokens x price, or what the counter grew by; NULL where any token has no price.
-- column estimated_billed_usd: estimated_cost_usd x the multiplier of that day, 24 decimals; 0 for unallocated spend and tenants' own accounts.
-- column unpriced_reason: Why there is no estimate; NULL where there is one.
-- column source: estimated: tokens x price book; counter: the provider's own running figure.
WITH counter AS (
    SELECT
        connection_id, key_hash, usage_date, date_trunc('minute', read_at) AS minute_at,
        usage_daily_usd - coalesce(lag(usage_daily_usd) OVER (
            PARTITION BY connection_id, key_hash, usage_date ORDER BY read_at), 0) AS growth_usd
    FROM raw.openrouter_key_readings
),
spend AS (
    SELECT
        minute_at, usage_date, 'openai' AS provider, connection_id, project_id AS account_id, api_key_id,
        nullif(model, '') AS model, nullif(batch, '') AS batch, nullif(service_tier, '') AS service_tier,
        input_tokens, input_cached_tokens, output_tokens, requests,
        CAST(estimated_cost_usd AS DECIMAL(38, 18)) AS cost_usd, unpriced_reason, 'estimated' AS source
    FROM staging.priced_completions
    WHERE minute_at IS NOT NULL
    UNION ALL
    SELECT
        minute_at, usage_date, 'openrouter' AS provider, connection_id, key_hash AS account_id, key_hash AS api_key_id,
        NULL AS model, NULL AS batch, NULL AS service_tier,
        NULL AS input_tokens, NULL AS input_cached_tokens, NULL AS output_tokens, NULL AS requests,
        CAST(sum(growth_usd) AS DECIMAL(38, 18)) AS cost_usd, NULL AS unpriced_reason, 'counter' AS source
    FROM counter
    GROUP BY minute_at, usage_date, connection_id, key_hash
    HAVING sum(growth_usd) <> 0
),
arrived AS (
    SELECT DISTINCT connection_id, usage_date FROM ops.load_days WHERE report IN ('costs', 'analytics')
),
owned AS (
    SELECT
        spend.*,
        coalesce(own.tenant_id, by_key.tenant_id, by_account.tenant_id) AS tenant_id,
        own.tenant_id IS NULL AND coalesce(by_key.tenant_id, by_account.tenant_id) IS NOT NULL AS is_billed
    FROM spend
    LEFT JOIN arrived ON arrived.connection_id = spend.connection_id AND arrived.usage_date = spend.usage_date
    LEFT JOIN registry.connections AS own ON own.connection_id = spend.connection_id
    LEFT JOIN registry.accounts AS by_key
        ON by_key.provider = spend.provider
        AND by_key.kind = 'api_key'
        AND by_key.account_id = spend.api_key_id
        AND by_key.valid_from <= spend.usage_date
        AND (by_key.valid_until IS NULL OR spend.usage_date < by_key.valid_until)
    LEFT JOIN registry.accounts AS by_account
        ON by_account.provider = spend.provider
        AND by_account.kind IN ('project', 'key')
        AND by_account.account_id = spend.account_id
        AND by_account.valid_from <= spend.usage_date
        AND (by_account.valid_until IS NULL OR spend.usage_date < by_account.valid_until)
    WHERE arrived.usage_date IS NULL
),
used AS (
    SELECT DISTINCT usage_date, tenant_id, provider, model FROM owned WHERE is_billed
),
ranked AS (
    SELECT
        used.usage_date, used.tenant_id, used.provider, used.model, rule.multiplier,
        rank() OVER (
            PARTITION BY used.usage_date, used.tenant_id, used.provider, used.model ORDER BY rule.precedence DESC
        ) AS place
    FROM used
    JOIN staging.tenant_margins AS rule
        ON rule.policy_sha256 = (SELECT policy_sha256 FROM policy.uses WHERE use_no = (SELECT max(use_no) FROM policy.uses))
        AND rule.tenant_id = used.tenant_id
        AND rule.period_start <= used.usage_date
        AND (rule.period_end IS NULL OR used.usage_date < rule.period_end)
        AND (rule.provider_like IS NULL OR used.provider LIKE rule.provider_like ESCAPE '!')
        AND (rule.model_like IS NULL OR used.model LIKE rule.model_like ESCAPE '!')
        AND rule.line_item_like IS NULL
        AND rule.category_like IS NULL
)
SELECT
    owned.minute_at,
    owned.usage_date,
    owned.provider,
    owned.connection_id,
    owned.account_id,
    owned.api_key_id,
    owned.model,
    owned.batch,
    owned.service_tier,
    coalesce(owned.tenant_id, 'unallocated') AS tenant_id,
    owned.input_tokens,
    owned.input_cached_tokens,
    owned.output_tokens,
    owned.requests,
    owned.cost_usd AS estimated_cost_usd,
    CAST(owned.cost_usd * CASE WHEN owned.is_billed THEN rate.multiplier ELSE CAST(0 AS DECIMAL(9, 6)) END
        AS DECIMAL(38, 24)) AS estimated_billed_usd,
    owned.unpriced_reason,
    owned.source
FROM owned
LEFT JOIN ranked AS rate
    ON rate.place = 1
    AND rate.usage_date = owned.usage_date
    AND rate.tenant_id = owned.tenant_id
    AND rate.provider = owned.provider
    AND rate.model IS NOT DISTINCT FROM owned.model
