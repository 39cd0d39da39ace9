-- OpenRouter's keys with their limits and counters, a snapshot each night.
-- grain: connection x key x UTC day of the snapshot
-- key: connection_id, key_hash, snapshot_date
-- owner: team:data
-- The counters are readings at one moment of a UTC day, week (from Monday) or month, not history.
-- column snapshot_date: UTC day the keys were read; the last reading of the day counts.
-- column connection_id: The OpenRouter account.
-- column key_hash: The key.
-- column name: Its name that day.
-- column workspace_id: The workspace it belonged to.
-- column disabled: Whether it was switched off.
-- column limit_usd: What it may spend per period; NULL means unlimited.
-- column remaining_usd: What was left of the limit, not below 0; NULL means unlimited.
-- column used_usd: limit - remaining; NULL for a key without a limit.
-- column limit_reset: daily, weekly or monthly, at 00:00 UTC; NULL means never.
-- column include_byok_in_limit: Whether spend on the own provider key counts towards the limit; NULL where not said.
-- column usage_usd: OpenRouter credits it ever spent.
-- column usage_daily_usd: Credits spent that UTC day so far.
-- column usage_weekly_usd: Credits spent that week so far.
-- column usage_monthly_usd: Credits spent that month so far.
-- column byok_usage_usd: What providers ever charged the own key directly, at list price; never billed by us.
-- column byok_usage_daily_usd: The same of that UTC day; NULL where not said.
-- column byok_usage_weekly_usd: The same of that week; NULL where not said.
-- column byok_usage_monthly_usd: The same of that month; NULL where not said.
-- column expires_at: When the key expires, as the provider writes it; NULL means never.
SELECT
    snapshot_date,
    connection_id,
    key_hash,
    name,
    workspace_id,
    disabled,
    limit_usd,
    limit_remaining_usd AS remaining_usd,
    CAST(limit_usd - limit_remaining_usd AS DECIMAL(38, 18)) AS used_usd,
    limit_reset,
    include_byok_in_limit,
    usage_usd,
    usage_daily_usd,
    usage_weekly_usd,
    usage_monthly_usd,
    byok_usage_usd,
    byok_usage_daily_usd,
    byok_usage_weekly_usd,
    byok_usage_monthly_usd,
    expires_at
FROM raw.openrouter_keys
