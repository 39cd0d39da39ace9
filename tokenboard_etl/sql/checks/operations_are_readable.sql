-- No row of an operations file had to be put into quarantine in the last week.
-- severity: warning
-- asset: ops.operations
-- owner: team:data
-- Not blocking: operations explain costs and make none. A file that stays in the inbox is tried again every night.
SELECT rejects.file, rejects.row_number, rejects.reason
FROM ops.operation_rejects AS rejects CROSS JOIN ops.clock
WHERE rejects.read_at >= ops.clock.as_of - INTERVAL '7' DAY
ORDER BY rejects.file, rejects.row_number
