-- Credits used between two snapshots lie within what analytics says the days between them cost.
-- severity: warning
-- asset: credits.balances
-- owner: team:billing
-- A snapshot is taken in the middle of a day, so no equality can hold. At least: days that began after the earlier
-- snapshot and had settled before the later one; all of their cost was deducted in between. At most: those and the days
-- that only may have been, from the ones not settled at the earlier snapshot to the day of the later one. A day whose
-- cost is negative (a refund) counts to the other bound. Compared are each snapshot with the one before (a sudden
-- jump shows there) and with the oldest of the 35 days before (a small steady gap shows there), once all days are
-- settled. Both sides are sums of binary doubles: 1e-9 USD a row. Credits that expire are not used and do not show here.
WITH snapshot AS (
    SELECT credit.connection_id, credit.snapshot_date, credit.used_usd, loads.started_at, loads.finished_at
    FROM raw.openrouter_credits AS credit
    JOIN ops.loads AS loads
        ON loads.load_id = credit.load_id AND loads.connection_id = credit.connection_id AND loads.report = 'credits'
    WHERE credit.used_usd IS NOT NULL
),
pair AS (
    SELECT
        later.connection_id,
        earlier.snapshot_date AS earlier_date,
        later.snapshot_date AS later_date,
        later.used_usd - earlier.used_usd AS used_usd,
        CAST(earlier.finished_at AS DATE) + 1 AS first_inside,
        CAST(later.started_at AS DATE) - 1 - ops.clock.settle_days AS last_inside,
        CAST(earlier.started_at AS DATE) - ops.clock.settle_days AS first_touched,
        CAST(later.finished_at AS DATE) AS last_touched,
        row_number() OVER (PARTITION BY later.connection_id, later.snapshot_date ORDER BY earlier.snapshot_date DESC) AS nearest,
        row_number() OVER (PARTITION BY later.connection_id, later.snapshot_date ORDER BY earlier.snapshot_date) AS farthest
    FROM snapshot AS later
    JOIN snapshot AS earlier
        ON earlier.connection_id = later.connection_id
        AND earlier.snapshot_date < later.snapshot_date
        AND earlier.snapshot_date >= later.snapshot_date - 35
    CROSS JOIN ops.clock
),
day AS (
    SELECT totals.connection_id, totals.usage_date, totals.provider_cost_usd AS cost_usd, totals.provider_rows
    FROM staging.provider_totals AS totals
    JOIN ops.source_days AS source_day
        ON source_day.connection_id = totals.connection_id
        AND source_day.usage_date = totals.usage_date
        AND source_day.report = 'analytics'
        AND source_day.state IN ('settled', 'closed')
    WHERE totals.provider = 'openrouter'
),
bound AS (
    SELECT
        pair.connection_id, pair.earlier_date, pair.later_date, pair.used_usd,
        sum(CASE WHEN day.usage_date BETWEEN pair.first_inside AND pair.last_inside THEN day.cost_usd ELSE least(day.cost_usd, 0) END)
            AS at_least_usd,
        sum(CASE WHEN day.usage_date BETWEEN pair.first_inside AND pair.last_inside THEN day.cost_usd ELSE greatest(day.cost_usd, 0) END)
            AS at_most_usd,
        CAST(sum(day.provider_rows) AS BIGINT) + 1 AS rows
    FROM pair
    JOIN day
        ON day.connection_id = pair.connection_id AND day.usage_date BETWEEN pair.first_touched AND pair.last_touched
    WHERE pair.nearest = 1 OR pair.farthest = 1
    GROUP BY pair.connection_id, pair.earlier_date, pair.later_date, pair.used_usd, pair.first_touched, pair.last_touched
    HAVING count(*) = date_diff('day', pair.first_touched, pair.last_touched) + 1
)
SELECT connection_id, earlier_date, later_date, used_usd, at_least_usd, at_most_usd
FROM bound
WHERE used_usd < at_least_usd - rows * 0.000000001 OR used_usd > at_most_usd + rows * 0.000000001
ORDER BY later_date, earlier_date, connection_id
