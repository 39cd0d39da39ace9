-- The credit grants of personal OpenAI accounts, a snapshot each night.
-- grain: connection x UTC day of the snapshot x grant
-- key: connection_id, snapshot_date, grant_id
-- owner: team:data
-- column snapshot_date: UTC day the grants were read; the last reading of the day counts.
-- column connection_id: The personal account.
-- column grant_id: The grant.
-- column granted_usd: What was granted.
-- column used_usd: What of it was used.
-- column available_usd: What of it is left to use; 0 once it has expired.
-- column effective_at: When it became usable; NULL where the provider does not say.
-- column expires_at: When it expires; NULL means never.
-- column expired: Whether it had expired when it was read.
SELECT
    grants.snapshot_date,
    grants.connection_id,
    grants.grant_id,
    grants.granted_usd,
    grants.used_usd,
    CAST(
        CASE WHEN grants.expires_at <= loads.started_at THEN 0 ELSE grants.granted_usd - grants.used_usd END
        AS DECIMAL(38, 18)
    ) AS available_usd,
    grants.effective_at,
    grants.expires_at,
    coalesce(grants.expires_at <= loads.started_at, false) AS expired
FROM raw.openai_credit_grants AS grants
JOIN ops.loads AS loads
    ON loads.load_id = grants.load_id AND loads.connection_id = grants.connection_id AND loads.report = 'credit_grants'
WHERE grants.grant_id <> ''
