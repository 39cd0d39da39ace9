-- Accounts that spend and that nobody is bound to: what is paid for and billed to no one.
-- grain: UTC month x connection x account
-- owner: team:tenants
-- Provider figures only; days on which an account was a tenant's are not in it.
-- column month: UTC month, YYYY-MM.
-- column provider: openai or openrouter.
-- column connection_id: The provider account.
-- column account_id: Project id or key hash; empty for spend no account explains.
-- column account_name: Its newest name; NULL where the provider gave none.
-- column account_status: active, archived, disabled or deleted; NULL where it was never listed.
-- column first_day: First UTC day of the month with such spend.
-- column last_day: Last UTC day of the month with such spend.
-- column cost_usd: What the provider charges us for it.
WITH spent AS (
    SELECT
        strftime(usage_date, '%Y-%m') AS month, provider, connection_id, account_id, min(usage_date) AS first_day,
        max(usage_date) AS last_day, sum(cost_usd) AS cost_usd
    FROM billing.charges
    WHERE tenant_id = 'unallocated' AND source = 'provider' AND cost_usd <> 0
    GROUP BY 1, 2, 3, 4
)
SELECT
    spent.month,
    spent.provider,
    spent.connection_id,
    spent.account_id,
    listed.name AS account_name,
    listed.status AS account_status,
    spent.first_day,
    spent.last_day,
    CAST(spent.cost_usd AS DECIMAL(38, 18)) AS cost_usd
FROM spent
LEFT JOIN ops.accounts AS listed
    ON listed.connection_id = spent.connection_id
    AND listed.account_id = spent.account_id
    AND listed.kind IN ('project', 'key')
