-- What each job of a tenant's applications cost, and what of the tenant's cost no operation explains.
-- grain: UTC month x tenant x job x part
-- key: month, tenant_id, job_id, part
-- month: month
-- owner: team:billing
-- Sums of billing.operation_costs; which of the three costs an operation counts to goes by the unit it is counted in.
-- column month: UTC month, YYYY-MM.
-- column tenant_id: Tenant, or 'unallocated'.
-- column job_id: The application's id; empty for operations without a job, and for the rest.
-- column part: operations; rest: what no operation explains.
-- column job_title: The newest title the month's operations give; NULL for none.
-- column cv_cost_usd: Cost of operations counted in CVs; NULL for the rest.
-- column question_cost_usd: Cost of operations counted in questions; NULL for the rest.
-- column video_cost_usd: Cost of operations counted in minutes; NULL for the rest.
-- column total_cost_usd: All of it: what the provider charges us.
-- column total_billed_usd: What the tenant is charged for it.
-- column operations: Operations told of.
-- column failed_operations: Those of them that did not succeed.
-- column cvs: CVs, failed operations included.
-- column questions: Questions, likewise.
-- column minutes: Minutes of video, likewise.
WITH titled AS (
    SELECT
        strftime(usage_date, '%Y-%m') AS month, tenant_id, job_id, job_title,
        row_number() OVER (
            PARTITION BY strftime(usage_date, '%Y-%m'), tenant_id, job_id ORDER BY occurred_at DESC, operation_id) AS place
    FROM ops.operations
    WHERE job_title IS NOT NULL AND job_id <> ''
),
summed AS (
    SELECT
        strftime(usage_date, '%Y-%m') AS month, tenant_id, coalesce(job_id, '') AS job_id,
        CASE WHEN operation_id = '' THEN 'rest' ELSE 'operations' END AS part,
        sum(CASE WHEN unit = 'cvs' THEN cost_usd WHEN unit IS NOT NULL THEN 0 END) AS cv_cost_usd,
        sum(CASE WHEN unit = 'questions' THEN cost_usd WHEN unit IS NOT NULL THEN 0 END) AS question_cost_usd,
        sum(CASE WHEN unit = 'minutes' THEN cost_usd WHEN unit IS NOT NULL THEN 0 END) AS video_cost_usd,
        sum(cost_usd) AS total_cost_usd,
        sum(billed_usd) AS total_billed_usd,
        count(unit) AS operations,
        count(*) FILTER (NOT success) AS failed_operations,
        CAST(sum(CASE WHEN unit = 'cvs' THEN quantity ELSE 0 END) AS DECIMAL(38, 6)) AS cvs,
        CAST(sum(CASE WHEN unit = 'questions' THEN quantity ELSE 0 END) AS DECIMAL(38, 6)) AS questions,
        CAST(sum(CASE WHEN unit = 'minutes' THEN quantity ELSE 0 END) AS DECIMAL(38, 6)) AS minutes
    FROM billing.operation_costs
    GROUP BY 1, 2, 3, 4
)
SELECT
    summed.month,
    summed.tenant_id,
    summed.job_id,
    summed.part,
    titled.job_title,
    summed.cv_cost_usd,
    summed.question_cost_usd,
    summed.video_cost_usd,
    summed.total_cost_usd,
    summed.total_billed_usd,
    summed.operations,
    summed.failed_operations,
    summed.cvs,
    summed.questions,
    summed.minutes
FROM summed
LEFT JOIN titled
    ON titled.month = summed.month
    AND titled.tenant_id = summed.tenant_id
    AND titled.job_id = summed.job_id
    AND titled.place = 1
