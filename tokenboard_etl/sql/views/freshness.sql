-- How far each report of each connection is read, and how long what is missing can still be fetched.
-- grain: connection x report
-- owner: team:data
-- column provider: openai or openrouter.
-- column connection_id: The provider account.
-- column report: Which of the provider's reports.
-- column gates_closing: true for the reports invoices are made from.
-- column read_until: Newest UTC day that was read; NULL for none.
-- column settled_until: Newest UTC day that is final; NULL for none.
-- column missing_days: Days not read that the provider still answers about.
-- column lost_days: Days that can no longer be fetched.
-- column fetch_before: Last UTC day on which the oldest of the missing days can be fetched; NULL where none is missing.
-- column last_loaded_at: End of the newest read.
SELECT
    provider,
    connection_id,
    report,
    gates_closing,
    max(usage_date) FILTER (WHERE state NOT IN ('missing', 'lost')) AS read_until,
    max(usage_date) FILTER (WHERE state IN ('settled', 'closed')) AS settled_until,
    count(*) FILTER (WHERE state = 'missing') AS missing_days,
    count(*) FILTER (WHERE state = 'lost') AS lost_days,
    min(fetchable_until) FILTER (WHERE state = 'missing') AS fetch_before,
    max(last_loaded_at) AS last_loaded_at
FROM ops.source_days
GROUP BY provider, connection_id, report, gates_closing
