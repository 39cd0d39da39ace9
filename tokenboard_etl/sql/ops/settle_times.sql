-- How long each provider goes on changing a day: learned from what it changed.
-- grain: provider
-- key: provider
-- owner: team:data
-- column provider: openai or openrouter.
-- column changes: Values changed after they had been loaded.
-- column days_for_95_percent: 95 % of the changes arrived within this many days of the day's end.
-- column days_for_all: The latest change arrived this many days after the day's end.
-- column last_change_seen_at: Start of the load that brought the newest change.
WITH aged AS (
    SELECT provider, seen_at, date_diff('day', usage_date + 1, CAST(seen_at AS DATE)) AS age_days FROM billing.restatements
),
ranked AS (
    SELECT
        provider, seen_at, age_days,
        row_number() OVER (PARTITION BY provider ORDER BY age_days) AS position,
        count(*) OVER (PARTITION BY provider) AS changes
    FROM aged
)
SELECT
    provider,
    max(changes) AS changes,
    min(age_days) FILTER (position * 100 >= changes * 95) AS days_for_95_percent,
    max(age_days) AS days_for_all,
    max(seen_at) AS last_change_seen_at
FROM ranked
GROUP BY provider
