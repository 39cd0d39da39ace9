-- What each tenant's usage cost by kind of operation, and how many operations its applications told of.
-- grain: UTC month x tenant x category
-- key: month, tenant_id, category
-- month: month
-- owner: team:billing
-- Cost goes by the category of the usage (billing.categories), operations by the type the application gave them.
-- column month: UTC month, YYYY-MM.
-- column tenant_id: Tenant, or 'unallocated'.
-- column category: Kind of operation; uncategorised where no rule takes the usage.
-- column cost_usd: What the provider charges us; provider figures only.
-- column billed_usd: What the tenant is charged; provider figures only.
-- column operations: Operations told of.
-- column failed_operations: Those of them that did not succeed.
-- column cvs: CVs, failed operations included.
-- column questions: Questions, likewise.
-- column minutes: Minutes of video, likewise.
WITH spent AS (
    SELECT
        strftime(usage_date, '%Y-%m') AS month, tenant_id, category,
        sum(cost_usd) AS cost_usd, sum(billed_usd) AS billed_usd
    FROM billing.charges
    WHERE source = 'provider'
    GROUP BY 1, 2, 3
),
done AS (
    SELECT
        strftime(usage_date, '%Y-%m') AS month, tenant_id, type AS category,
        count(*) AS operations,
        count(*) FILTER (NOT success) AS failed_operations,
        CAST(sum(CASE WHEN unit = 'cvs' THEN quantity ELSE 0 END) AS DECIMAL(38, 6)) AS cvs,
        CAST(sum(CASE WHEN unit = 'questions' THEN quantity ELSE 0 END) AS DECIMAL(38, 6)) AS questions,
        CAST(sum(CASE WHEN unit = 'minutes' THEN quantity ELSE 0 END) AS DECIMAL(38, 6)) AS minutes
    FROM ops.operations
    GROUP BY 1, 2, 3
)
SELECT
    coalesce(spent.month, done.month) AS month,
    coalesce(spent.tenant_id, done.tenant_id) AS tenant_id,
    coalesce(spent.category, done.category) AS category,
    coalesce(spent.cost_usd, 0) AS cost_usd,
    coalesce(spent.billed_usd, 0) AS billed_usd,
    coalesce(done.operations, 0) AS operations,
    coalesce(done.failed_operations, 0) AS failed_operations,
    coalesce(done.cvs, 0) AS cvs,
    coalesce(done.questions, 0) AS questions,
    coalesce(done.minutes, 0) AS minutes
FROM spent
FULL OUTER JOIN done
    ON done.month = spent.month AND done.tenant_id = spent.tenant_id AND done.category = spent.category
