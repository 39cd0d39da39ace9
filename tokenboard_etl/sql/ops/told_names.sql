-- The names each tenant may be told of the accounts it spends on, from when on each was known.
-- grain: tenant x provider x account x first day of the name
-- key: tenant_id, provider, account_id, seen_from
-- owner: team:data
-- An account may have been another tenant's, who gave it a name. A name is told to whoever had the account, or the
-- project of the key, then or later; but not where somebody else may have given it: had the account between the list
-- before (for the first name: since the account was made) and the list it is first on. The key's own binding goes before
-- that of its project.
-- column tenant_id: The tenant.
-- column provider: openai or openrouter.
-- column account_id: Project, service account or API key id, or key hash.
-- column name: The name, as the provider gave it; the id where it gave none.
-- column seen_from: UTC day it was first listed under this name.
WITH held AS (
    SELECT tenant_id, provider, account_id, valid_from, valid_until, true AS is_itself
    FROM registry.accounts
    UNION ALL
    SELECT bound.tenant_id, bound.provider, inside.account_id, bound.valid_from, bound.valid_until, false AS is_itself
    FROM registry.accounts AS bound
    JOIN ops.accounts AS inside ON inside.provider = bound.provider AND inside.parent_id = bound.account_id
    WHERE bound.kind = 'project'
),
made AS (
    SELECT provider, account_id, CAST(min(created_at) AS DATE) AS made_on
    FROM ops.accounts
    GROUP BY provider, account_id
),
called AS (
    SELECT
        names.provider, names.account_id, names.seen_from, max(names.name) AS name,
        CASE
            WHEN names.seen_from > min(names.seen_from) OVER (PARTITION BY names.provider, names.account_id)
                THEN names.seen_from
            ELSE coalesce(max(made.made_on), DATE '0001-01-01')
        END AS given_from
    FROM ops.account_names AS names
    LEFT JOIN made ON made.provider = names.provider AND made.account_id = names.account_id
    GROUP BY names.provider, names.account_id, names.seen_from
)
SELECT DISTINCT
    mine.tenant_id,
    called.provider,
    called.account_id,
    called.name,
    called.seen_from
FROM called
JOIN held AS mine
    ON mine.provider = called.provider
    AND mine.account_id = called.account_id
    AND (mine.valid_until IS NULL OR called.seen_from < mine.valid_until)
WHERE NOT EXISTS (
    SELECT 1 FROM held AS theirs
    WHERE theirs.provider = called.provider
        AND theirs.account_id = called.account_id
        AND theirs.tenant_id <> mine.tenant_id
        AND theirs.valid_from <= called.seen_from
        AND (theirs.valid_until IS NULL OR called.given_from <= theirs.valid_until)
        AND (theirs.is_itself OR NOT (mine.is_itself AND mine.valid_from <= called.given_from))
)
