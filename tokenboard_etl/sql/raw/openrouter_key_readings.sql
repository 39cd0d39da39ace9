-- grain: key, as of the reading
-- key: read_at, key_hash
-- owner: team:data
-- A reading counts from the moment its answer arrived. An answer that crosses midnight on its way then stands under the
-- new day, whose next reading corrects it; the old day has no next one.
WITH key AS (
    SELECT
        received_at,
        unnest(from_json(body, '{"data": [{"hash": "VARCHAR", "usage_daily": "DECIMAL(38,18)"}]}').data) AS row
    FROM landed
    WHERE path = '/keys'
)
SELECT
    CAST(received_at AS DATE) AS usage_date,
    received_at AS read_at,
    row.hash AS key_hash,
    max(row.usage_daily) AS usage_daily_usd
FROM key
GROUP BY received_at, row.hash
