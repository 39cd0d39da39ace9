-- The newest name each provider gave an account. Names are for people; nothing is joined on them.
-- grain: connection x account
-- key: connection_id, account_id
-- owner: team:data
-- column provider: openai or openrouter.
-- column connection_id: The provider account.
-- column account_id: Project id or key hash.
-- column name: The newest name seen; the id itself where the provider gave none.
-- column seen_on: UTC day of the snapshot the name is from.
WITH named AS (
    SELECT 'openai' AS provider, connection_id, project_id AS account_id, name, snapshot_date FROM raw.openai_projects
    UNION ALL
    SELECT 'openrouter' AS provider, connection_id, key_hash AS account_id, name, snapshot_date FROM raw.openrouter_keys
),
ranked AS (
    SELECT
        provider, connection_id, account_id, name, snapshot_date,
        row_number() OVER (PARTITION BY connection_id, account_id ORDER BY snapshot_date DESC) AS newest
    FROM named
)
SELECT
    provider,
    connection_id,
    account_id,
    coalesce(nullif(name, ''), account_id) AS name,
    snapshot_date AS seen_on
FROM ranked
WHERE newest = 1
