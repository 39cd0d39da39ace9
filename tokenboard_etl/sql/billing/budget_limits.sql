-- The hard limits that budgets are to be at the providers, against the ones that are set there.
-- grain: provider account of a tenant whose budget is pushed
-- key: tenant_id, provider, account_id
-- owner: team:tenants
-- A budget is in the tenant's prices, a limit in our cost, so the budget is divided by the highest multiplier that can
-- price the tenant's spend at the provider today, and cut to whole cents: spend under the limit never comes to more than
-- the budget. Each provider gets it in full. Rules that can never go first, because one for everything goes before
-- them, are left out.
-- column tenant_id: Tenant.
-- column provider: openai or openrouter.
-- column connection_id: The provider account; NULL where the account was not listed yet.
-- column account_id: OpenAI project or OpenRouter key.
-- column budget_usd: The month's budget, in the tenant's prices.
-- column multiplier: The highest sell price per dollar of cost.
-- column wanted_usd: The limit in US dollars of cost a month; NULL where there is no way to tell it.
-- column actual_usd: The limit that is set; NULL for none.
-- column actual_interval: What the limit holds for; month (OpenAI) or monthly (OpenRouter) is as wanted.
-- column read_on: UTC day the limit was read; NULL: not yet.
-- column state: in force; differs; not set; not read; several accounts (one budget, so it is not told which gets what); no limit (nothing is charged).
WITH today AS (
    SELECT CAST(max(as_of) AS DATE) AS today FROM ops.clock
),
in_use AS (
    SELECT policy_sha256 FROM policy.uses WHERE use_no = (SELECT max(use_no) FROM policy.uses)
),
pushed AS (
    SELECT budgets.tenant_id, budgets.budget_usd
    FROM billing.budgets AS budgets
    CROSS JOIN today
    CROSS JOIN in_use
    JOIN policy.budgets AS rule ON rule.policy_sha256 = in_use.policy_sha256 AND rule.rule_id = budgets.budget_rule_id
    WHERE budgets.month = strftime(today.today, '%Y-%m') AND rule.is_pushed
),
accounts AS (
    SELECT
        bound.tenant_id, bound.provider, bound.account_id, listed.connection_id,
        count(*) OVER (PARTITION BY bound.tenant_id, bound.provider) AS accounts
    FROM registry.accounts AS bound
    CROSS JOIN today
    LEFT JOIN ops.accounts AS listed
        ON listed.provider = bound.provider AND listed.kind = bound.kind AND listed.account_id = bound.account_id
    WHERE bound.kind IN ('project', 'key')
        AND bound.valid_from <= today.today
        AND (bound.valid_until IS NULL OR today.today < bound.valid_until)
        AND coalesce(listed.status, 'active') = 'active'
),
rules AS (
    SELECT
        margins.tenant_id, providers.provider, margins.multiplier, margins.precedence,
        max(CASE
            WHEN margins.model_like IS NULL AND margins.line_item_like IS NULL AND margins.category_like IS NULL
                THEN margins.precedence
        END) OVER (PARTITION BY margins.tenant_id, providers.provider) AS for_everything
    FROM staging.tenant_margins AS margins
    CROSS JOIN today
    JOIN in_use ON in_use.policy_sha256 = margins.policy_sha256
    JOIN (SELECT 'openai' AS provider UNION ALL SELECT 'openrouter') AS providers
        ON margins.provider_like IS NULL OR providers.provider LIKE margins.provider_like ESCAPE '!'
    WHERE margins.period_start <= today.today
        AND (margins.period_end IS NULL OR today.today < margins.period_end)
),
factors AS (
    SELECT tenant_id, provider, max(multiplier) AS multiplier
    FROM rules
    WHERE precedence >= coalesce(for_everything, 0)
    GROUP BY tenant_id, provider
),
actual AS (
    SELECT
        'openai' AS provider, connection_id, project_id AS account_id, limit_usd, limit_interval, snapshot_date,
        row_number() OVER (PARTITION BY connection_id, project_id ORDER BY snapshot_date DESC) AS place
    FROM ops.spend_limits
    UNION ALL
    SELECT
        'openrouter', connection_id, key_hash, limit_usd, limit_reset, snapshot_date,
        row_number() OVER (PARTITION BY connection_id, key_hash ORDER BY snapshot_date DESC)
    FROM usage.openrouter_keys
),
compared AS (
    SELECT
        accounts.tenant_id, accounts.provider, accounts.connection_id, accounts.account_id, accounts.accounts,
        pushed.budget_usd, factors.multiplier,
        CASE
            WHEN accounts.accounts = 1 AND factors.multiplier > 0 THEN CAST(CAST(greatest(
                1,
                CAST(CAST(pushed.budget_usd AS DECIMAL(28, 6)) * 1000000 AS HUGEINT) * 100
                // greatest(1, CAST(factors.multiplier * 1000000 AS HUGEINT))
            ) AS DECIMAL(28, 0)) * 0.01 AS DECIMAL(38, 18))
        END AS wanted_usd,
        actual.limit_usd AS actual_usd,
        actual.limit_interval AS actual_interval,
        actual.snapshot_date AS read_on
    FROM accounts
    JOIN pushed ON pushed.tenant_id = accounts.tenant_id
    LEFT JOIN factors ON factors.tenant_id = accounts.tenant_id AND factors.provider = accounts.provider
    LEFT JOIN actual
        ON actual.provider = accounts.provider
        AND actual.connection_id = accounts.connection_id
        AND actual.account_id = accounts.account_id
        AND actual.place = 1
)
SELECT
    tenant_id,
    provider,
    connection_id,
    account_id,
    budget_usd,
    multiplier,
    wanted_usd,
    actual_usd,
    actual_interval,
    read_on,
    CASE
        WHEN accounts > 1 THEN 'several accounts'
        WHEN wanted_usd IS NULL THEN 'no limit'
        WHEN read_on IS NULL THEN 'not read'
        WHEN actual_usd IS NULL THEN 'not set'
        WHEN actual_usd = wanted_usd AND actual_interval IN ('month', 'monthly') THEN 'in force'
        ELSE 'differs'
    END AS state
FROM compared
