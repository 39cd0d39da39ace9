-- Credits bought and used, a snapshot each night.
-- grain: connection x UTC day of the snapshot
-- key: connection_id, snapshot_date
-- owner: team:data
-- column snapshot_date: UTC day the balance was read.
-- column provider: openrouter.
-- column connection_id: The provider account.
-- column granted_usd: Credits ever bought or granted; NULL where the provider did not really say.
-- column used_usd: Credits ever used; NULL likewise.
-- column available_usd: What is left; may be negative.
-- column used_delta_usd: Used since the snapshot before; NULL for the first.
SELECT
    snapshot_date,
    'openrouter' AS provider,
    connection_id,
    granted_usd,
    used_usd,
    granted_usd - used_usd AS available_usd,
    used_usd - lag(used_usd) OVER (PARTITION BY connection_id ORDER BY snapshot_date) AS used_delta_usd
FROM raw.openrouter_credits
