-- grain: project x service account, of the projects that were read
-- key: project_id, service_account_id
-- owner: team:data
-- A project that was read and has none gives one row with an empty id.
WITH page AS (
    SELECT
        context ->> '$.project_id' AS project_id,
        from_json(body, '{"data": [{"id": "VARCHAR", "name": "VARCHAR", "role": "VARCHAR", "created_at": "BIGINT"}]}').data AS accounts
    FROM landed
),
account AS (
    SELECT project_id, unnest(accounts) AS row FROM page
)
SELECT
    project_id,
    row.id AS service_account_id,
    any_value(row.name) AS name,
    any_value(row.role) AS role,
    any_value(to_timestamp(row.created_at)) AS created_at
FROM account
GROUP BY 1, 2
UNION ALL
SELECT project_id, '', NULL, NULL, NULL
FROM page
GROUP BY project_id
HAVING coalesce(sum(len(accounts)), 0) = 0
