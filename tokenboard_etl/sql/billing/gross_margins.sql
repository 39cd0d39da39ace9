-- What remains of a tenant's month once the providers are paid.
-- grain: UTC month x tenant
-- key: month, tenant_id
-- month: month
-- owner: team:billing
-- Usage at provider figures only: fees, minimums, credits and taxes are not in it.
-- column month: UTC month, YYYY-MM.
-- column tenant_id: Tenant.
-- column cost_usd: What the providers charge us.
-- column billed_usd: What the tenant is charged.
-- column margin_usd: billed_usd - cost_usd.
-- column margin_percent: Share of billed_usd that remains, cut to two decimals; NULL where nothing is billed.
-- column alarm_percent: Least share the policy that prices the month wants.
-- column is_low: Whether less remains: margin_usd < billed_usd x alarm_percent, or below nothing.
WITH months AS (
    SELECT month, tenant_id, sum(cost_usd) AS cost_usd, sum(billed_usd) AS billed_usd, sum(margin_usd) AS margin_usd
    FROM billing.tenant_months
    WHERE tenant_id <> 'unallocated'
    GROUP BY month, tenant_id
),
priced AS (
    SELECT
        months.month, months.tenant_id, months.cost_usd, months.billed_usd, months.margin_usd,
        coalesce(version.margin_alarm_percent, 0) AS alarm_percent
    FROM months
    LEFT JOIN billing.closed_months AS for_one ON for_one.month = months.month AND for_one.tenant_id = months.tenant_id
    LEFT JOIN billing.closed_months AS for_all ON for_all.month = months.month AND for_all.tenant_id IS NULL
    LEFT JOIN policy.versions AS version ON version.policy_sha256 = coalesce(
        for_one.policy_sha256,
        for_all.policy_sha256,
        (SELECT policy_sha256 FROM policy.uses WHERE use_no = (SELECT max(use_no) FROM policy.uses))
    )
)
SELECT
    month,
    tenant_id,
    cost_usd,
    billed_usd,
    margin_usd,
    CASE WHEN billed_usd > 0 THEN CAST(
        (CAST(CAST(margin_usd AS DECIMAL(28, 6)) * 1000000 AS HUGEINT) * 10000)
        // greatest(1, CAST(CAST(billed_usd AS DECIMAL(28, 6)) * 1000000 AS HUGEINT))
        AS DECIMAL(20, 0)) * 0.01
    END AS margin_percent,
    alarm_percent,
    margin_usd < 0 OR CAST(margin_usd AS DECIMAL(28, 6)) * 100 < CAST(billed_usd AS DECIMAL(28, 6)) * alarm_percent AS is_low
FROM priced
