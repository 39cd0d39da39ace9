-- What each operation cost: the real cost of a tenant's day spread over its operations, exactly, and what is left of it.
-- grain: UTC day x tenant x operation; and UTC day x tenant x category for the rest no operation explains
-- key: usage_date, tenant_id, operation_id, category
-- month: usage_date
-- owner: team:billing
-- The cost of a category goes to that day's operations of the type of the same name; what has none of its own goes to all
-- of that day's operations; without any it stays, as a row with operation_id ''. Shares go by tokens where every operation
-- of the group says how many, else by quantity where all are counted in one unit, else the cost stays as well. They are
-- computed in whole units of the last decimal (1e-18 USD of cost, 1e-24 of price): each is rounded down, and the units
-- left over go to the largest remainders, ties by operation_id. So parts add up to the whole, and order does not matter.
-- (a // w) * p + (a % w) * p // w is a * p // w without a product that has no room in 38 digits.
-- column usage_date: UTC day.
-- column tenant_id: Tenant, or 'unallocated'.
-- column operation_id: The application's id; empty for the rest.
-- column category: The operation's type; the category of the usage for the rest.
-- column job_id: The job it was done for, empty for none; NULL for the rest.
-- column occurred_at: When it was done; NULL for the rest.
-- column tokens: Tokens it used; NULL where the application does not say.
-- column quantity: How much was done, in unit; NULL for the rest.
-- column unit: cvs, questions or minutes; NULL for the rest.
-- column success: Whether it succeeded; NULL for the rest.
-- column cost_usd: Its part of what the provider charges us for the day; 0 while there is nothing to share.
-- column billed_usd: Its part of what the tenant is charged.
WITH spent AS (
    SELECT
        charges.usage_date, charges.tenant_id, charges.category,
        CASE WHEN typed.type IS NULL THEN '' ELSE charges.category END AS pool,
        sum(charges.cost_usd) AS cost_usd, sum(charges.billed_usd) AS billed_usd
    FROM billing.charges AS charges
    LEFT JOIN (SELECT DISTINCT usage_date, tenant_id, type FROM ops.operations) AS typed
        ON typed.usage_date = charges.usage_date
        AND typed.tenant_id = charges.tenant_id
        AND typed.type = charges.category
    WHERE charges.source = 'provider'
    GROUP BY 1, 2, 3, 4
),
pot AS (
    SELECT
        usage_date, tenant_id, pool, 'cost' AS measure,
        CAST(replace(CAST(sum(cost_usd) AS VARCHAR), '.', '') AS HUGEINT) AS units
    FROM spent
    GROUP BY usage_date, tenant_id, pool
    UNION ALL
    SELECT
        usage_date, tenant_id, pool, 'billed' AS measure,
        CAST(replace(CAST(sum(billed_usd) AS VARCHAR), '.', '') AS HUGEINT) AS units
    FROM spent
    GROUP BY usage_date, tenant_id, pool
),
member AS (
    SELECT usage_date, tenant_id, type AS pool, operation_id, tokens, quantity, unit FROM ops.operations
    UNION ALL
    SELECT usage_date, tenant_id, '' AS pool, operation_id, tokens, quantity, unit FROM ops.operations
),
weighed AS (
    SELECT
        usage_date, tenant_id, pool, operation_id,
        CASE
            WHEN count(tokens) OVER pool = count(*) OVER pool AND sum(tokens) OVER pool > 0 THEN CAST(tokens AS HUGEINT)
            WHEN min(unit) OVER pool = max(unit) OVER pool THEN CAST(quantity * 1000000 AS HUGEINT)
            ELSE 0
        END AS weight
    FROM member
    WINDOW pool AS (PARTITION BY usage_date, tenant_id, pool)
),
sharing AS (
    SELECT *, sum(weight) OVER (PARTITION BY usage_date, tenant_id, pool) AS whole_weight
    FROM weighed
),
part AS (
    SELECT
        sharing.usage_date, sharing.tenant_id, sharing.pool, sharing.operation_id, pot.measure, pot.units,
        (abs(pot.units) // sharing.whole_weight) * sharing.weight
            + (abs(pot.units) % sharing.whole_weight) * sharing.weight // sharing.whole_weight AS base,
        (abs(pot.units) % sharing.whole_weight) * sharing.weight % sharing.whole_weight AS remainder
    FROM sharing
    JOIN pot
        ON pot.usage_date = sharing.usage_date AND pot.tenant_id = sharing.tenant_id AND pot.pool = sharing.pool
    WHERE sharing.whole_weight > 0
),
placed AS (
    SELECT
        *,
        abs(units) - sum(base) OVER (PARTITION BY usage_date, tenant_id, pool, measure) AS left_over,
        row_number() OVER (
            PARTITION BY usage_date, tenant_id, pool, measure ORDER BY remainder DESC, operation_id) AS place
    FROM part
),
share AS (
    SELECT
        usage_date, tenant_id, operation_id, measure,
        CAST(sum((base + CASE WHEN place <= left_over THEN 1 ELSE 0 END) * CASE WHEN units < 0 THEN -1 ELSE 1 END)
            AS DECIMAL(38, 0)) AS units
    FROM placed
    GROUP BY usage_date, tenant_id, operation_id, measure
),
shared_pool AS (
    SELECT DISTINCT usage_date, tenant_id, pool FROM part
)
SELECT
    operation.usage_date,
    operation.tenant_id,
    operation.operation_id,
    operation.type AS category,
    operation.job_id,
    operation.occurred_at,
    operation.tokens,
    operation.quantity,
    operation.unit,
    operation.success,
    coalesce(cost.units, 0) * 0.000000000000000001 AS cost_usd,
    coalesce(billed.units, 0) * 0.000000000000000000000001 AS billed_usd
FROM ops.operations AS operation
LEFT JOIN share AS cost
    ON cost.usage_date = operation.usage_date
    AND cost.operation_id = operation.operation_id
    AND cost.measure = 'cost'
LEFT JOIN share AS billed
    ON billed.usage_date = operation.usage_date
    AND billed.operation_id = operation.operation_id
    AND billed.measure = 'billed'
UNION ALL
SELECT
    spent.usage_date,
    spent.tenant_id,
    '' AS operation_id,
    spent.category,
    NULL AS job_id,
    NULL AS occurred_at,
    NULL AS tokens,
    NULL AS quantity,
    NULL AS unit,
    NULL AS success,
    spent.cost_usd,
    spent.billed_usd
FROM spent
LEFT JOIN shared_pool
    ON shared_pool.usage_date = spent.usage_date
    AND shared_pool.tenant_id = spent.tenant_id
    AND shared_pool.pool = spent.pool
WHERE shared_pool.pool IS NULL
