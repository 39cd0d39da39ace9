-- grain: project x API key, of the projects that were read
-- key: project_id, api_key_id
-- owner: team:data
-- A project that was read and has none gives one row with an empty id.
WITH page AS (
    SELECT
        context ->> '$.project_id' AS project_id,
        from_json(body, '{"data": [{"id": "VARCHAR", "name": "VARCHAR", "owner_project_access": "VARCHAR",
            "created_at": "BIGINT", "expires_at": "BIGINT", "last_used_at": "BIGINT"}]}').data AS keys
    FROM landed
),
key AS (
    SELECT project_id, unnest(keys) AS row FROM page
)
SELECT
    project_id,
    row.id AS api_key_id,
    any_value(row.name) AS name,
    any_value(row.owner_project_access) AS owner_project_access,
    any_value(to_timestamp(row.created_at)) AS created_at,
    any_value(to_timestamp(row.expires_at)) AS expires_at,
    any_value(to_timestamp(row.last_used_at)) AS last_used_at
FROM key
GROUP BY 1, 2
UNION ALL
SELECT project_id, '', NULL, NULL, NULL, NULL, NULL
FROM page
GROUP BY project_id
HAVING coalesce(sum(len(keys)), 0) = 0
