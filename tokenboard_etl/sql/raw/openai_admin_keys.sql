-- grain: admin key, as of the load's day
-- key: admin_key_id
-- owner: team:data
WITH key AS (
    SELECT unnest(from_json(body, '{"data": [{"id": "VARCHAR", "name": "VARCHAR", "created_at": "BIGINT",
        "expires_at": "BIGINT", "last_used_at": "BIGINT"}]}').data) AS row
    FROM landed
)
SELECT
    row.id AS admin_key_id,
    any_value(row.name) AS name,
    any_value(to_timestamp(row.created_at)) AS created_at,
    any_value(to_timestamp(row.expires_at)) AS expires_at,
    any_value(to_timestamp(row.last_used_at)) AS last_used_at
FROM key
GROUP BY 1
