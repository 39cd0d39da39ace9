-- Credits bought and used, a snapshot each night: OpenRouter's accounts and personal OpenAI accounts.
-- grain: connection x UTC day of the snapshot
-- key: connection_id, snapshot_date
-- owner: team:data
-- A balance nobody would tell is a row with NULLs and the reason, never a zero.
-- column snapshot_date: UTC day the balance was read; the last reading of the day counts.
-- column provider: openai or openrouter.
-- column connection_id: The provider account.
-- column granted_usd: Credits ever bought or granted; NULL where the provider did not really say.
-- column used_usd: Credits ever used; NULL likewise.
-- column available_usd: What is left; may be negative; NULL likewise.
-- column used_delta_usd: How much used_usd grew since the last snapshot that told; NULL where either is not known. A personal account may count credit that expired as used: what it spent is in credits.personal_spend.
-- column span_days: Days from that snapshot to this one: more than 1 after a missed night; NULL likewise.
-- column unavailable_reason: Why there is no figure; NULL where there is one.
WITH told AS (
    SELECT
        'openrouter' AS provider, connection_id, snapshot_date, granted_usd, used_usd,
        CAST(granted_usd - used_usd AS DECIMAL(38, 18)) AS available_usd
    FROM raw.openrouter_credits
    WHERE used_usd IS NOT NULL
    UNION ALL
    SELECT 'openai' AS provider, connection_id, snapshot_date, granted_usd, used_usd, available_usd
    FROM raw.openai_credit_grants
    WHERE grant_id = ''
),
refused AS (
    SELECT provider, connection_id, CAST(started_at AS DATE) AS snapshot_date, max(unavailable_reason) AS unavailable_reason
    FROM ops.loads
    WHERE report = 'credit_grants' AND result = 'unavailable'
    GROUP BY provider, connection_id, CAST(started_at AS DATE)
    UNION ALL
    SELECT
        'openrouter' AS provider, connection_id, snapshot_date,
        'The provider answered with two zeros, as it also does to a key without permission.' AS unavailable_reason
    FROM raw.openrouter_credits
    WHERE used_usd IS NULL
),
compared AS (
    SELECT
        *,
        lag(used_usd) OVER by_time AS used_before_usd,
        lag(snapshot_date) OVER by_time AS before_date
    FROM told
    WINDOW by_time AS (PARTITION BY connection_id ORDER BY snapshot_date)
)
SELECT
    snapshot_date,
    provider,
    connection_id,
    granted_usd,
    used_usd,
    available_usd,
    CAST(used_usd - used_before_usd AS DECIMAL(38, 18)) AS used_delta_usd,
    CAST(date_diff('day', before_date, snapshot_date) AS BIGINT) AS span_days,
    CAST(NULL AS VARCHAR) AS unavailable_reason
FROM compared
UNION ALL
SELECT
    refused.snapshot_date,
    refused.provider,
    refused.connection_id,
    NULL AS granted_usd,
    NULL AS used_usd,
    NULL AS available_usd,
    NULL AS used_delta_usd,
    NULL AS span_days,
    refused.unavailable_reason
FROM refused
LEFT JOIN told ON told.connection_id = refused.connection_id AND told.snapshot_date = refused.snapshot_date
WHERE told.connection_id IS NULL
