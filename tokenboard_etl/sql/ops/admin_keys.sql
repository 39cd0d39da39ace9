-- OpenAI's admin keys, one of which reads all of this, and how long each still works.
-- grain: connection x admin key
-- key: connection_id, admin_key_id
-- owner: team:data
-- Those of the newest list; keys that are gone are not in it.
-- column connection_id: The OpenAI organization.
-- column admin_key_id: The key's id; its value is nowhere here.
-- column name: Its name; NULL where it has none.
-- column created_at: When it was made.
-- column expires_at: When it stops working; NULL for never.
-- column days_left: Whole days from the newest build until it expires, below 0 once it has; NULL for never.
-- column last_used_at: Its last use; NULL for never.
-- column seen_on: UTC day of the list.
WITH list_read AS (
    SELECT connection_id, max(CAST(started_at AS DATE)) AS read_on
    FROM ops.loads
    WHERE report = 'admin_keys' AND result = 'loaded'
    GROUP BY connection_id
)
SELECT
    key.connection_id,
    key.admin_key_id,
    nullif(key.name, '') AS name,
    key.created_at,
    key.expires_at,
    date_diff('day', CAST(ops.clock.as_of AS DATE), CAST(key.expires_at AS DATE)) AS days_left,
    key.last_used_at,
    key.snapshot_date AS seen_on
FROM raw.openai_admin_keys AS key
JOIN list_read ON list_read.connection_id = key.connection_id AND list_read.read_on = key.snapshot_date
CROSS JOIN ops.clock
