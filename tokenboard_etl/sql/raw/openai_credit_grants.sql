-- grain: grant, and the account (grant_id ''), as of the load's day
-- key: grant_id
-- owner: team:data
-- The account's own totals are kept beside its grants: a list of none is still an answer. Instants may be fractions.
WITH page AS (
    SELECT from_json(body, '{"total_granted": "DECIMAL(38,18)", "total_used": "DECIMAL(38,18)", "total_available": "DECIMAL(38,18)",
        "grants": {"data": [{"id": "VARCHAR", "grant_amount": "DECIMAL(38,18)", "used_amount": "DECIMAL(38,18)",
        "effective_at": "DECIMAL(38,18)", "expires_at": "DECIMAL(38,18)"}]}}') AS answer
    FROM landed
),
listed AS (
    SELECT unnest(answer.grants.data) AS row FROM page
)
SELECT
    '' AS grant_id,
    max(answer.total_granted) AS granted_usd,
    max(answer.total_used) AS used_usd,
    max(answer.total_available) AS available_usd,
    CAST(NULL AS TIMESTAMPTZ) AS effective_at,
    CAST(NULL AS TIMESTAMPTZ) AS expires_at
FROM page
UNION ALL
SELECT
    row.id AS grant_id,
    CASE WHEN count(row.grant_amount) = count(*) THEN sum(row.grant_amount) END AS granted_usd,
    CASE WHEN count(row.used_amount) = count(*) THEN sum(row.used_amount) END AS used_usd,
    CAST(NULL AS DECIMAL(38, 18)) AS available_usd,
    min(to_timestamp(CAST(row.effective_at AS BIGINT))) AS effective_at,
    max(to_timestamp(CAST(row.expires_at AS BIGINT))) AS expires_at
FROM listed
GROUP BY row.id
