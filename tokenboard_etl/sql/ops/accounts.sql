-- Everything at a provider that spends or stands in a bill by its id: what it is called, and whether it still is.
-- grain: connection x kind x account
-- key: connection_id, kind, account_id
-- owner: team:data
-- Nothing leaves this table: an account that is gone keeps its last name, for the costs it has caused. Large
-- organizations are read in shares, so each account is as of the newest read of its own list, which is
-- not the same day for all. An account of a list that was not read since is as it was.
-- column provider: openai or openrouter.
-- column connection_id: The provider account.
-- column kind: project, service_account or api_key (OpenAI), key (OpenRouter).
-- column account_id: The provider's id, or the key's hash.
-- column parent_id: The project of a service account or API key, the workspace of an OpenRouter key; NULL for projects.
-- column name: The newest name seen; NULL where the provider gave none.
-- column status: active; archived (it or its project); disabled (or its owner left the project); deleted: listed before, and not when its list was last read.
-- column created_at: When the provider made it; NULL where it does not say.
-- column expires_at: When it stops working; NULL for never.
-- column last_used_at: Last use, as of last_seen; NULL for never or not said.
-- column first_seen: UTC day it was first listed.
-- column last_seen: UTC day it was last listed.
WITH listed AS (
    SELECT
        'openai' AS provider, connection_id, 'project' AS kind, project_id AS account_id, CAST(NULL AS VARCHAR) AS parent_id,
        name, snapshot_date, archived_at IS NOT NULL OR coalesce(status, '') = 'archived' AS archived, false AS disabled,
        created_at, CAST(NULL AS TIMESTAMPTZ) AS expires_at, CAST(NULL AS TIMESTAMPTZ) AS last_used_at
    FROM raw.openai_projects
    UNION ALL
    SELECT
        'openai', connection_id, 'service_account', service_account_id, project_id,
        name, snapshot_date, false, false, created_at, NULL, NULL
    FROM raw.openai_service_accounts
    WHERE service_account_id <> ''
    UNION ALL
    SELECT
        'openai', connection_id, 'api_key', api_key_id, project_id,
        name, snapshot_date, false, coalesce(owner_project_access, '') = 'inactive', created_at, expires_at, last_used_at
    FROM raw.openai_project_keys
    WHERE api_key_id <> ''
    UNION ALL
    SELECT
        'openrouter', connection_id, 'key', key_hash, workspace_id,
        name, snapshot_date, false, disabled, TRY_CAST(created_at AS TIMESTAMPTZ), NULL, NULL
    FROM raw.openrouter_keys
),
list_read AS (
    SELECT connection_id, CASE WHEN report = 'projects' THEN 'project' ELSE 'key' END AS kind, '' AS list_id,
        max(CAST(started_at AS DATE)) AS read_on
    FROM ops.loads
    WHERE report IN ('projects', 'keys') AND result = 'loaded'
    GROUP BY connection_id, report
    UNION ALL
    SELECT connection_id, 'service_account', project_id, max(snapshot_date)
    FROM raw.openai_service_accounts
    GROUP BY connection_id, project_id
    UNION ALL
    SELECT connection_id, 'api_key', project_id, max(snapshot_date)
    FROM raw.openai_project_keys
    GROUP BY connection_id, project_id
),
ranked AS (
    SELECT
        provider, connection_id, kind, account_id, parent_id, name, archived, disabled, created_at, expires_at, last_used_at,
        min(snapshot_date) OVER (PARTITION BY connection_id, kind, account_id) AS first_seen,
        snapshot_date AS last_seen,
        row_number() OVER (PARTITION BY connection_id, kind, account_id ORDER BY snapshot_date DESC, parent_id) AS newest
    FROM listed
),
known AS (
    SELECT
        provider, connection_id, kind, account_id, parent_id, name, archived, disabled, created_at, expires_at, last_used_at,
        first_seen, last_seen
    FROM ranked
    WHERE newest = 1
)
SELECT
    known.provider,
    known.connection_id,
    known.kind,
    known.account_id,
    known.parent_id,
    nullif(known.name, '') AS name,
    CASE
        WHEN known.last_seen < list_read.read_on THEN 'deleted'
        WHEN known.archived OR coalesce(parent.archived, false) THEN 'archived'
        WHEN known.disabled THEN 'disabled'
        ELSE 'active'
    END AS status,
    known.created_at,
    known.expires_at,
    known.last_used_at,
    known.first_seen,
    known.last_seen
FROM known
LEFT JOIN list_read
    ON list_read.connection_id = known.connection_id
    AND list_read.kind = known.kind
    AND list_read.list_id = CASE WHEN known.kind IN ('service_account', 'api_key') THEN known.parent_id ELSE '' END
LEFT JOIN known AS parent
    ON parent.connection_id = known.connection_id
    AND parent.kind = 'project'
    AND parent.account_id = known.parent_id
