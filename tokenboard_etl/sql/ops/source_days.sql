-- What is known about each report and day: the ledger that says whether a figure is there and whether it is final.
-- grain: connection x report x UTC day
-- key: connection_id, report, usage_date
-- owner: team:data
-- Days run from the first one ever asked for to yesterday. A day is settled once a whole read began after its
-- settle time; a day without any row that was read is "zero, confirmed", a day that was not read is missing, and
-- lost once the provider no longer answers about it: activity is sure of 29 completed days, all others of a year.
-- column usage_date: UTC day.
-- column provider: openai or openrouter.
-- column connection_id: The provider account.
-- column report: Which of the provider's reports.
-- column gates_closing: true for the reports invoices are made from.
-- column state: missing, lost, provisional, settled or closed.
-- column rows: Rows of the newest read; NULL while missing.
-- column total_usd: Sum of the newest read; NULL while missing and for reports without amounts.
-- column loads: How often the day was read.
-- column first_loaded_at: End of its first read.
-- column last_loaded_at: End of its newest read.
-- column settled_at: Start of the first read after its settle time; NULL before.
-- column fetchable_until: Last UTC day on which the provider still answers about this day.
WITH bounds AS (
    SELECT
        provider, connection_id, report,
        least(min(window_start), max(CAST(ops.clock.as_of AS DATE)) - 1) AS first_day,
        max(CAST(ops.clock.as_of AS DATE)) - 1 AS last_day
    FROM ops.loads CROSS JOIN ops.clock
    WHERE report NOT IN (
        'projects', 'service_accounts', 'project_keys', 'admin_keys', 'spend_limits', 'keys', 'credits',
        'credit_grants', 'completions_minutes', 'key_readings')
    GROUP BY provider, connection_id, report
),
days AS (
    SELECT
        provider, connection_id, report, last_day,
        unnest(generate_series(first_day, last_day, INTERVAL 1 DAY)) AS day_at
    FROM bounds
),
spine AS (
    SELECT
        provider, connection_id, report, last_day + 1 AS today,
        CASE WHEN report IN ('activity', 'activity_by_key') THEN 29 ELSE 365 END AS horizon_days,
        CAST(day_at AS DATE) AS usage_date
    FROM days
),
reads AS (
    SELECT
        connection_id, report, usage_date, started_at, finished_at, rows, total_usd,
        started_at >= CAST(usage_date + 1 + ops.clock.settle_days AS TIMESTAMPTZ) AS after_settling,
        row_number() OVER (PARTITION BY connection_id, report, usage_date ORDER BY started_at DESC, load_id DESC) AS newest
    FROM ops.load_days CROSS JOIN ops.clock
),
known AS (
    SELECT
        connection_id, report, usage_date,
        count(*) AS loads,
        min(finished_at) AS first_loaded_at,
        max(finished_at) AS last_loaded_at,
        min(started_at) FILTER (after_settling) AS settled_at,
        max(rows) FILTER (newest = 1) AS rows,
        max(total_usd) FILTER (newest = 1) AS total_usd
    FROM reads
    GROUP BY connection_id, report, usage_date
),
closed AS (
    SELECT DISTINCT month FROM billing.closed_months WHERE tenant_id IS NULL
)
SELECT
    spine.usage_date,
    spine.provider,
    spine.connection_id,
    spine.report,
    spine.report IN ('costs', 'analytics') AND spine.connection_id NOT IN (
        SELECT connection_id FROM registry.connections WHERE tenant_id IS NOT NULL) AS gates_closing,
    CASE
        WHEN known.loads IS NULL AND spine.today > spine.usage_date + spine.horizon_days THEN 'lost'
        WHEN known.loads IS NULL THEN 'missing'
        WHEN closed.month IS NOT NULL THEN 'closed'
        WHEN known.settled_at IS NOT NULL THEN 'settled'
        ELSE 'provisional'
    END AS state,
    known.rows,
    known.total_usd,
    coalesce(known.loads, 0) AS loads,
    known.first_loaded_at,
    known.last_loaded_at,
    known.settled_at,
    spine.usage_date + spine.horizon_days AS fetchable_until
FROM spine
LEFT JOIN known
    ON known.connection_id = spine.connection_id
    AND known.report = spine.report
    AND known.usage_date = spine.usage_date
LEFT JOIN closed ON closed.month = strftime(spine.usage_date, '%Y-%m')
