-- Every name an account has had, from when until when. Names are for people; nothing is joined on them.
-- grain: connection x kind x account x name x first day of it
-- key: connection_id, kind, account_id, seen_from
-- owner: team:data
-- A name a provider did not give is the account's id.
-- column provider: openai or openrouter.
-- column connection_id: The provider account.
-- column kind: project, service_account or api_key (OpenAI), key (OpenRouter).
-- column account_id: The provider's id, or the key's hash.
-- column name: The name, as the provider gave it.
-- column seen_from: UTC day it was first listed under this name.
-- column seen_until: UTC day it was first listed under another one; NULL for the newest name.
WITH listed AS (
    SELECT 'openai' AS provider, connection_id, 'project' AS kind, project_id AS account_id, name, snapshot_date
    FROM raw.openai_projects
    UNION ALL
    SELECT 'openai', connection_id, 'service_account', service_account_id, name, snapshot_date
    FROM raw.openai_service_accounts
    WHERE service_account_id <> ''
    UNION ALL
    SELECT 'openai', connection_id, 'api_key', api_key_id, name, snapshot_date
    FROM raw.openai_project_keys
    WHERE api_key_id <> ''
    UNION ALL
    SELECT 'openrouter', connection_id, 'key', key_hash, name, snapshot_date
    FROM raw.openrouter_keys
),
daily AS (
    SELECT
        provider, connection_id, kind, account_id, snapshot_date,
        coalesce(nullif(max(name), ''), account_id) AS name
    FROM listed
    GROUP BY provider, connection_id, kind, account_id, snapshot_date
),
compared AS (
    SELECT
        provider, connection_id, kind, account_id, name, snapshot_date,
        lag(name) OVER (PARTITION BY connection_id, kind, account_id ORDER BY snapshot_date) AS name_before
    FROM daily
)
SELECT
    provider,
    connection_id,
    kind,
    account_id,
    name,
    snapshot_date AS seen_from,
    lead(snapshot_date) OVER (PARTITION BY connection_id, kind, account_id ORDER BY snapshot_date) AS seen_until
FROM compared
WHERE name_before IS NULL OR name <> name_before
