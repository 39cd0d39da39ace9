-- grain: account, as of the load's day
-- key: snapshot_date
-- owner: team:data
-- Zero bought and zero used is what a key without permission has been told too: unknown, not zero.
WITH answer AS (
    SELECT from_json(body, '{"data": {"total_credits": "DECIMAL(38,18)", "total_usage": "DECIMAL(38,18)"}}').data AS row FROM landed
)
SELECT
    CASE WHEN max(row.total_credits) <> 0 OR max(row.total_usage) <> 0 THEN max(row.total_credits) END AS granted_usd,
    CASE WHEN max(row.total_credits) <> 0 OR max(row.total_usage) <> 0 THEN max(row.total_usage) END AS used_usd
FROM answer
