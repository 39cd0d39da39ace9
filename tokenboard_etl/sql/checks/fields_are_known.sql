-- No provider sends a field that was not there a week ago.
-- severity: warning
-- asset: ops.source_days
-- owner: team:data
-- News for a week, then it is on record in ops.unknown_fields and nags nobody.
SELECT unknown.provider, unknown.endpoint, unknown.path, unknown.example_type, unknown.first_seen_at
FROM ops.unknown_fields AS unknown CROSS JOIN ops.clock
WHERE unknown.first_seen_at >= ops.clock.as_of - INTERVAL '7' DAY
ORDER BY unknown.first_seen_at, unknown.path
