-- OpenRouter's activity and its analytics tell the same cost, per day in total and per day and key.
-- severity: warning
-- asset: usage.openrouter_activity
-- owner: team:billing
-- Two endpoints of one provider. Held against each other are settled days that both were read for on the same UTC day;
-- an empty key_hash is the whole account. Both send binary doubles: 1e-9 USD a row is noise.
-- Known and harmless: a key that was deleted while the two were read, and the chat room's or deleted keys' spend, which
-- the provider may leave out of one of the totals. Keys that were gone cannot be asked for. Charges rest on analytics.
WITH newest_read AS (
    SELECT connection_id, report, usage_date, CAST(max(started_at) AS DATE) AS read_on
    FROM ops.load_days
    WHERE report IN ('analytics', 'activity', 'activity_by_key')
    GROUP BY connection_id, report, usage_date
),
comparable AS (
    SELECT analytics.connection_id, analytics.usage_date, activity.report
    FROM newest_read AS analytics
    JOIN newest_read AS activity
        ON activity.connection_id = analytics.connection_id
        AND activity.usage_date = analytics.usage_date
        AND activity.read_on = analytics.read_on
        AND activity.report <> 'analytics'
    JOIN ops.source_days AS source_day
        ON source_day.connection_id = analytics.connection_id
        AND source_day.usage_date = analytics.usage_date
        AND source_day.report = 'analytics'
        AND source_day.state IN ('settled', 'closed')
    WHERE analytics.report = 'analytics'
),
told AS (
    SELECT
        CASE WHEN key_hash IS NULL THEN 'activity' ELSE 'activity_by_key' END AS report,
        connection_id, usage_date, coalesce(key_hash, '') AS key_hash,
        cost_usd AS analytics_usd, 0 AS activity_usd, provider_rows
    FROM raw.openrouter_analytics
    ANTI JOIN ops.gone_key_days USING (connection_id, usage_date, key_hash)
    UNION ALL
    SELECT 'activity' AS report, connection_id, usage_date, '' AS key_hash, 0, cost_usd, 1
    FROM raw.openrouter_activity
    UNION ALL
    SELECT 'activity_by_key' AS report, connection_id, usage_date, key_hash, 0, cost_usd, 1
    FROM raw.openrouter_activity_by_key
)
SELECT
    told.usage_date, told.connection_id, told.key_hash,
    sum(told.analytics_usd) AS analytics_usd, sum(told.activity_usd) AS activity_usd
FROM told
JOIN comparable
    ON comparable.connection_id = told.connection_id
    AND comparable.usage_date = told.usage_date
    AND comparable.report = told.report
GROUP BY told.usage_date, told.connection_id, told.key_hash
HAVING abs(sum(told.analytics_usd) - sum(told.activity_usd)) > CAST(sum(told.provider_rows) AS BIGINT) * 0.000000001
ORDER BY 1, 2, 3
