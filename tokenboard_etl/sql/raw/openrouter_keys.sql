-- grain: key, as of the load's day
-- key: key_hash
-- owner: team:data
WITH key AS (
    SELECT unnest(from_json(body, '{"data": [{"hash": "VARCHAR", "name": "VARCHAR", "label": "VARCHAR", "workspace_id": "VARCHAR",
        "disabled": "BOOLEAN", "limit": "DECIMAL(38,18)", "limit_remaining": "DECIMAL(38,18)", "limit_reset": "VARCHAR",
        "usage": "DECIMAL(38,18)", "usage_daily": "DECIMAL(38,18)", "usage_weekly": "DECIMAL(38,18)", "usage_monthly": "DECIMAL(38,18)",
        "byok_usage": "DECIMAL(38,18)", "byok_usage_daily": "DECIMAL(38,18)", "byok_usage_weekly": "DECIMAL(38,18)",
        "byok_usage_monthly": "DECIMAL(38,18)", "include_byok_in_limit": "BOOLEAN", "created_at": "VARCHAR", "expires_at": "VARCHAR"}]}').data) AS row
    FROM landed
    WHERE path = '/keys'
)
SELECT
    row.hash AS key_hash,
    any_value(row.name) AS name,
    any_value(row.label) AS label,
    any_value(row.workspace_id) AS workspace_id,
    any_value(row.disabled) AS disabled,
    any_value(row.limit) AS limit_usd,
    any_value(row.limit_remaining) AS limit_remaining_usd,
    any_value(row.limit_reset) AS limit_reset,
    max(row.usage) AS usage_usd,
    max(row.usage_daily) AS usage_daily_usd,
    max(row.usage_weekly) AS usage_weekly_usd,
    max(row.usage_monthly) AS usage_monthly_usd,
    max(row.byok_usage) AS byok_usage_usd,
    max(row.byok_usage_daily) AS byok_usage_daily_usd,
    max(row.byok_usage_weekly) AS byok_usage_weekly_usd,
    max(row.byok_usage_monthly) AS byok_usage_monthly_usd,
    any_value(row.include_byok_in_limit) AS include_byok_in_limit,
    any_value(row.created_at) AS created_at,
    any_value(row.expires_at) AS expires_at
FROM key
GROUP BY 1
