-- No admin key expires within 30 days, or has expired.
-- severity: warning
-- asset: ops.admin_keys
-- owner: team:data
-- Without its admin key nothing of an organization is read. Make a new one, set it, then delete this one.
SELECT connection_id, admin_key_id, name, expires_at, days_left
FROM ops.admin_keys
WHERE days_left <= 30
ORDER BY expires_at, admin_key_id
