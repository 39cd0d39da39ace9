-- grain: project, as of the load's day
-- key: project_id
-- owner: team:data
WITH project AS (
    SELECT unnest(from_json(body, '{"data": [{"id": "VARCHAR", "name": "VARCHAR", "status": "VARCHAR",
        "created_at": "BIGINT", "archived_at": "BIGINT", "external_key_id": "VARCHAR"}]}').data) AS row
    FROM landed
)
SELECT
    row.id AS project_id,
    any_value(row.name) AS name,
    any_value(row.status) AS status,
    any_value(to_timestamp(row.created_at)) AS created_at,
    any_value(to_timestamp(row.archived_at)) AS archived_at,
    any_value(row.external_key_id) AS external_key_id
FROM project
GROUP BY 1
