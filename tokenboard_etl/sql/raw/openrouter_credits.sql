-- grain: account, as of the load's day
-- key: snapshot_date
-- owner: team:data
WITH answer AS (
    SELECT from_json(body, '{"data": {"total_credits": "DECIMAL(38,18)", "total_usage": "DECIMAL(38,18)"}}').data AS row FROM landed
)
SELECT max(row.total_credits) AS granted_usd, max(row.total_usage) AS used_usd FROM answer
