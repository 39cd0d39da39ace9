-- What a personal OpenAI account spent between two snapshots, from how much more of each grant is used. Shown, never billed.
-- grain: connection x UTC day
-- key: connection_id, usage_date
-- owner: team:data
-- A new grant is no spend, what is used of it is. The rest of a grant that expired is no spend: nothing is counted for a
-- grant that left the list, nor for one that had expired and is suddenly shown as wholly used. How much of those was
-- really spent nobody tells; it is at most uncertain_usd. A grant that came and went between two snapshots leaves no trace.
-- column usage_date: Last whole UTC day before the snapshot; the span ends with it.
-- column connection_id: The personal account.
-- column spend_usd: Spent in the span, at least; NULL for the first snapshot: what was used before it has no date.
-- column uncertain_usd: At most this much more was spent, from grants that expired or are no longer listed; NULL likewise.
-- column span_days: Days from the snapshot before to this one: 1, or more after nights without an answer; NULL likewise.
WITH snapshot AS (
    SELECT
        connection_id, snapshot_date,
        lag(snapshot_date) OVER (PARTITION BY connection_id ORDER BY snapshot_date) AS before_date
    FROM raw.openai_credit_grants
    WHERE grant_id = ''
),
pair AS (
    SELECT
        snapshot.connection_id,
        snapshot.snapshot_date,
        grants.grant_id,
        max(CASE WHEN grants.snapshot_date = snapshot.before_date THEN grants.used_usd END) AS used_before_usd,
        max(CASE WHEN grants.snapshot_date = snapshot.before_date THEN grants.available_usd END) AS rest_before_usd,
        max(CASE WHEN grants.snapshot_date = snapshot.snapshot_date THEN grants.used_usd END) AS used_usd,
        max(CASE WHEN grants.snapshot_date = snapshot.snapshot_date AND grants.expired THEN grants.granted_usd END) AS expired_grant_usd
    FROM snapshot
    JOIN credits.grants AS grants
        ON grants.connection_id = snapshot.connection_id
        AND grants.snapshot_date IN (snapshot.before_date, snapshot.snapshot_date)
    WHERE snapshot.before_date IS NOT NULL
    GROUP BY snapshot.connection_id, snapshot.snapshot_date, grants.grant_id
),
judged AS (
    SELECT
        *,
        used_usd - coalesce(used_before_usd, 0) AS used_more_usd,
        used_usd IS NULL AS is_gone,
        coalesce(used_usd >= expired_grant_usd AND used_usd > coalesce(used_before_usd, 0), false) AS may_be_written_off
    FROM pair
),
spent AS (
    SELECT
        connection_id,
        snapshot_date,
        sum(CASE WHEN is_gone OR may_be_written_off THEN 0 ELSE used_more_usd END) AS spend_usd,
        sum(
            CASE
                WHEN is_gone THEN greatest(rest_before_usd, 0)
                WHEN may_be_written_off THEN used_more_usd
                ELSE 0
            END
        ) AS uncertain_usd
    FROM judged
    GROUP BY connection_id, snapshot_date
)
SELECT
    snapshot.snapshot_date - 1 AS usage_date,
    snapshot.connection_id,
    CAST(CASE WHEN snapshot.before_date IS NOT NULL THEN coalesce(spent.spend_usd, 0) END AS DECIMAL(38, 18)) AS spend_usd,
    CAST(CASE WHEN snapshot.before_date IS NOT NULL THEN coalesce(spent.uncertain_usd, 0) END AS DECIMAL(38, 18)) AS uncertain_usd,
    CAST(date_diff('day', snapshot.before_date, snapshot.snapshot_date) AS BIGINT) AS span_days
FROM snapshot
LEFT JOIN spent ON spent.connection_id = snapshot.connection_id AND spent.snapshot_date = snapshot.snapshot_date
