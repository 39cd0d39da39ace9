-- What documents call the accounts of a tenant's month: the name each had when the tenant last spent on it.
-- grain: UTC month x tenant x provider x account
-- key: month, tenant_id, provider, account_id
-- owner: team:billing
-- Where no name was listed by then it is the first one listed later, and the account's id where there is none that the
-- tenant may be told (ops.told_names). Names are for people; nothing is joined on them.
-- column month: UTC month, YYYY-MM.
-- column tenant_id: Tenant.
-- column provider: openai or openrouter.
-- column account_id: Project id or key hash; API key id where only the key is the tenant's.
-- column name: Its name, or its id.
WITH billed AS (
    SELECT month, tenant_id, provider, account_id, max(last_day) AS last_day
    FROM billing.invoice_drafts
    GROUP BY month, tenant_id, provider, account_id
),
ranked AS (
    SELECT
        billed.month, billed.tenant_id, billed.provider, billed.account_id, told.name,
        row_number() OVER (
            PARTITION BY billed.month, billed.tenant_id, billed.provider, billed.account_id
            ORDER BY
                CASE WHEN told.seen_from <= billed.last_day THEN told.seen_from END DESC NULLS LAST,
                told.seen_from
        ) AS place
    FROM billed
    LEFT JOIN ops.told_names AS told
        ON told.tenant_id = billed.tenant_id
        AND told.provider = billed.provider
        AND told.account_id = billed.account_id
)
SELECT
    month,
    tenant_id,
    provider,
    account_id,
    coalesce(name, account_id) AS name
FROM ranked
WHERE place = 1
