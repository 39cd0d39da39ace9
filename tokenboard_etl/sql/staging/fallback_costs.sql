-- What operations are taken to cost where neither the provider nor the price book says: quantity x fallback unit price.
-- grain: UTC day x tenant x category
-- key: usage_date, tenant_id, category
-- month: usage_date
-- owner: team:billing
-- Only where a tenant's usage of a category has no price and no other cost of that category is known for the day: what
-- is known would cover some of the same operations, and they would be counted twice. The row stands at the first of the
-- accounts without a price.
-- column usage_date: UTC day.
-- column tenant_id: The tenant.
-- column provider: openai or openrouter.
-- column connection_id: The provider account.
-- column account_id: Project id or key hash of the usage without a price.
-- column api_key_id: API key of that usage.
-- column billed_account_id: What the tenant's documents call the account by: account_id, or api_key_id where only the key is the tenant's.
-- column category: Kind of operation.
-- column quantity: How much was done, in quantity_unit.
-- column quantity_unit: Unit of the fallback price.
-- column cost_usd: quantity x usd of the fallback price.
-- column fallback_rule_id: The fallback price.
-- column policy_sha256: The version of the policy.
WITH open_cost AS (
    SELECT
        usage_date, tenant_id, provider, connection_id, account_id, api_key_id, billed_account_id, model, policy_sha256
    FROM staging.bound_costs
    WHERE NOT is_priced AND tenant_id IS NOT NULL
),
chosen AS (
    SELECT usage_date, connection_id, account_id, api_key_id, model, category
    FROM billing.categories
    WHERE usage_date IN (SELECT usage_date FROM open_cost)
),
without_price AS (
    SELECT
        cost.usage_date, cost.tenant_id, cost.provider, cost.connection_id, cost.account_id, cost.api_key_id,
        cost.billed_account_id, cost.policy_sha256, coalesce(chosen.category, 'uncategorised') AS category,
        row_number() OVER (
            PARTITION BY cost.usage_date, cost.tenant_id, coalesce(chosen.category, 'uncategorised')
            ORDER BY cost.provider, cost.connection_id, cost.account_id, cost.api_key_id
        ) AS place
    FROM open_cost AS cost
    LEFT JOIN chosen
        ON chosen.usage_date = cost.usage_date
        AND chosen.connection_id = cost.connection_id
        AND chosen.account_id = cost.account_id
        AND chosen.api_key_id = cost.api_key_id
        AND chosen.model IS NOT DISTINCT FROM cost.model
),
priced AS (
    SELECT usage_date, tenant_id, connection_id, account_id, api_key_id, model
    FROM staging.bound_costs
    WHERE is_priced AND usage_date IN (SELECT usage_date FROM open_cost)
),
known AS (
    SELECT DISTINCT wanted.usage_date, wanted.tenant_id, wanted.category
    FROM without_price AS wanted
    JOIN priced AS cost
        ON cost.usage_date = wanted.usage_date AND cost.tenant_id = wanted.tenant_id
    LEFT JOIN chosen
        ON chosen.usage_date = cost.usage_date
        AND chosen.connection_id = cost.connection_id
        AND chosen.account_id = cost.account_id
        AND chosen.api_key_id = cost.api_key_id
        AND chosen.model IS NOT DISTINCT FROM cost.model
    WHERE wanted.place = 1 AND coalesce(chosen.category, 'uncategorised') = wanted.category
),
unpriced AS (
    SELECT wanted.*
    FROM without_price AS wanted
    LEFT JOIN known
        ON known.usage_date = wanted.usage_date
        AND known.tenant_id = wanted.tenant_id
        AND known.category = wanted.category
    WHERE wanted.place = 1 AND known.category IS NULL
),
price AS (
    SELECT
        unpriced.usage_date, unpriced.tenant_id, unpriced.category, rule.rule_id, rule.unit, rule.usd_per_unit,
        row_number() OVER (
            PARTITION BY unpriced.usage_date, unpriced.tenant_id, unpriced.category
            ORDER BY rule.precedence DESC
        ) AS place
    FROM unpriced
    JOIN policy.fallback_prices AS rule
        ON rule.policy_sha256 = unpriced.policy_sha256
        AND rule.category = unpriced.category
        AND rule.valid_from <= unpriced.usage_date
        AND (rule.valid_until IS NULL OR unpriced.usage_date < rule.valid_until)
        AND (rule.tenant_like IS NULL OR unpriced.tenant_id LIKE rule.tenant_like ESCAPE '!')
),
done AS (
    SELECT usage_date, tenant_id, type, unit, CAST(sum(quantity) AS DECIMAL(18, 6)) AS quantity
    FROM ops.operations
    GROUP BY usage_date, tenant_id, type, unit
)
SELECT
    unpriced.usage_date,
    unpriced.tenant_id,
    unpriced.provider,
    unpriced.connection_id,
    unpriced.account_id,
    unpriced.api_key_id,
    unpriced.billed_account_id,
    unpriced.category,
    CAST(done.quantity AS DECIMAL(38, 9)) AS quantity,
    done.unit AS quantity_unit,
    CAST(done.quantity * CAST(price.usd_per_unit AS DECIMAL(28, 18)) AS DECIMAL(38, 18)) AS cost_usd,
    price.rule_id AS fallback_rule_id,
    unpriced.policy_sha256
FROM unpriced
JOIN price
    ON price.usage_date = unpriced.usage_date
    AND price.tenant_id = unpriced.tenant_id
    AND price.category = unpriced.category
    AND price.place = 1
JOIN done
    ON done.usage_date = unpriced.usage_date
    AND done.tenant_id = unpriced.tenant_id
    AND done.type = unpriced.category
    AND done.unit IN (price.unit, price.unit || 's')
