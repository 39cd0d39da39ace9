-- What each tenant means to spend in a month, has spent, and will have spent at its end.
-- grain: UTC month x tenant that has a budget
-- key: month, tenant_id
-- owner: team:billing
-- The budget is the rule that goes first on the month's last day, of the version of the policy that prices the month.
-- The forecast of the running month is what is spent up to the last day that was read, and for each day after it the
-- straight line through the last two fortnights (between nothing and twice the newer one), shared out by weekday as the
-- four weeks were. A tenant seen for less than three weeks is taken to go on with its mean day. Whole numbers of a
-- millionth of a dollar, so that every engine says the same.
-- column month: UTC month, YYYY-MM.
-- column tenant_id: Tenant.
-- column budget_usd: The budget, in USD of the tenant's own prices.
-- column spent_usd: What the tenant is charged so far, days that are only estimated included.
-- column estimated_usd: How much of spent_usd is an estimate.
-- column remaining_usd: budget_usd - spent_usd; negative once it is overspent.
-- column forecast_usd: What the month will come to; what it came to once it is over.
-- column threshold_reached: Highest threshold of the rule that spent_usd reaches, in percent; NULL: none.
-- column threshold_forecast: The same for forecast_usd.
-- column budget_rule_id: The rule of the policy.
WITH today AS (
    SELECT CAST(max(as_of) AS DATE) AS today FROM ops.clock
),
known AS (
    SELECT max(usage_date) AS known_day
    FROM (
        SELECT usage_date FROM ops.source_days WHERE gates_closing AND state NOT IN ('missing', 'lost')
        UNION ALL
        SELECT usage_date FROM billing.tenant_days
    ) AS days
),
spent AS (
    SELECT
        strftime(usage_date, '%Y-%m') AS month, tenant_id,
        sum(billed_usd + estimated_billed_usd) AS spent_usd, sum(estimated_billed_usd) AS estimated_usd
    FROM billing.tenant_days
    WHERE tenant_id <> 'unallocated'
    GROUP BY 1, 2
),
months AS (
    SELECT month, tenant_id FROM spent
    UNION
    SELECT strftime(today.today, '%Y-%m') AS month, tenant_id FROM registry.tenants CROSS JOIN today
),
priced AS (
    SELECT
        months.month, months.tenant_id,
        last_day(CAST(months.month || '-01' AS DATE)) AS month_end,
        coalesce(
            for_one.policy_sha256,
            for_all.policy_sha256,
            (SELECT policy_sha256 FROM policy.uses WHERE use_no = (SELECT max(use_no) FROM policy.uses))
        ) AS policy_sha256
    FROM months
    LEFT JOIN billing.closed_months AS for_one ON for_one.month = months.month AND for_one.tenant_id = months.tenant_id
    LEFT JOIN billing.closed_months AS for_all ON for_all.month = months.month AND for_all.tenant_id IS NULL
),
ranked AS (
    SELECT
        priced.month, priced.tenant_id, priced.month_end, priced.policy_sha256, rule.rule_id, rule.budget_usd,
        row_number() OVER (PARTITION BY priced.month, priced.tenant_id ORDER BY rule.precedence DESC, rule.rule_id DESC) AS place
    FROM priced
    JOIN policy.budgets AS rule
        ON rule.policy_sha256 = priced.policy_sha256
        AND rule.valid_from <= priced.month_end
        AND (rule.valid_until IS NULL OR priced.month_end < rule.valid_until)
        AND (rule.tenant_like IS NULL OR priced.tenant_id LIKE rule.tenant_like ESCAPE '!')
),
base AS (
    SELECT
        daily.tenant_id, daily.usage_date, known.known_day,
        CAST(CAST(sum(daily.billed_usd + daily.estimated_billed_usd) AS DECIMAL(28, 6)) * 1000000 AS HUGEINT) AS micros
    FROM billing.tenant_days AS daily
    JOIN known ON daily.usage_date > known.known_day - 28
    GROUP BY daily.tenant_id, daily.usage_date, known.known_day
),
levels AS (
    SELECT
        tenant_id, known_day,
        date_diff('day', min(usage_date), known_day) + 1 AS days_seen,
        CAST(sum(micros) AS HUGEINT) AS four_weeks,
        CAST(sum(CASE WHEN usage_date > known_day - 14 THEN micros ELSE 0 END) AS HUGEINT) AS fortnight
    FROM base
    GROUP BY tenant_id, known_day
),
weekdays AS (
    SELECT
        tenant_id, date_diff('day', DATE '2001-01-01', usage_date) % 7 AS weekday, CAST(sum(micros) AS HUGEINT) AS micros
    FROM base
    GROUP BY 1, 2
),
running AS (
    SELECT unnest(generate_series(
        CAST(strftime(today.today, '%Y-%m') || '-01' AS DATE), last_day(today.today), INTERVAL 1 DAY)) AS day_at
    FROM today
),
to_come AS (
    SELECT CAST(running.day_at AS DATE) AS usage_date
    FROM running CROSS JOIN known
    WHERE known.known_day IS NULL OR CAST(running.day_at AS DATE) > known.known_day
),
expected AS (
    SELECT
        levels.tenant_id,
        CAST(sum(CASE
            WHEN levels.four_weeks <= 0 THEN 0
            WHEN levels.days_seen < 21 THEN levels.four_weeks // levels.days_seen
            ELSE greatest(0, least(
                2 * levels.fortnight,
                levels.fortnight
                + (2 * levels.fortnight - levels.four_weeks)
                    * (2 * date_diff('day', levels.known_day, to_come.usage_date) + 13) // 28
            )) * coalesce(weekdays.micros, 0) // (2 * levels.four_weeks)
        END) AS HUGEINT) AS micros
    FROM levels
    CROSS JOIN to_come
    LEFT JOIN weekdays
        ON weekdays.tenant_id = levels.tenant_id
        AND weekdays.weekday = date_diff('day', DATE '2001-01-01', to_come.usage_date) % 7
    GROUP BY levels.tenant_id
),
figures AS (
    SELECT
        ranked.month, ranked.tenant_id, ranked.policy_sha256, ranked.rule_id, ranked.budget_usd,
        CAST(coalesce(spent.spent_usd, 0) AS DECIMAL(38, 18)) AS spent_usd,
        CAST(coalesce(spent.estimated_usd, 0) AS DECIMAL(38, 18)) AS estimated_usd,
        CAST(coalesce(spent.spent_usd, 0) + CASE
            WHEN ranked.month = strftime(today.today, '%Y-%m') THEN CAST(coalesce(expected.micros, 0) AS DECIMAL(28, 0)) * 0.000001
            ELSE 0
        END AS DECIMAL(38, 18)) AS forecast_usd
    FROM ranked
    CROSS JOIN today
    LEFT JOIN spent ON spent.month = ranked.month AND spent.tenant_id = ranked.tenant_id
    LEFT JOIN expected ON expected.tenant_id = ranked.tenant_id
    WHERE ranked.place = 1
)
SELECT
    figures.month,
    figures.tenant_id,
    figures.budget_usd,
    figures.spent_usd,
    figures.estimated_usd,
    CAST(figures.budget_usd - figures.spent_usd AS DECIMAL(38, 18)) AS remaining_usd,
    figures.forecast_usd,
    max(CASE WHEN figures.spent_usd > 0 AND figures.spent_usd * 100 >= figures.budget_usd * threshold.threshold_percent
        THEN threshold.threshold_percent END) AS threshold_reached,
    max(CASE WHEN figures.forecast_usd > 0 AND figures.forecast_usd * 100 >= figures.budget_usd * threshold.threshold_percent
        THEN threshold.threshold_percent END) AS threshold_forecast,
    figures.rule_id AS budget_rule_id
FROM figures
JOIN policy.budget_thresholds AS threshold
    ON threshold.policy_sha256 = figures.policy_sha256 AND threshold.rule_id = figures.rule_id
GROUP BY figures.month, figures.tenant_id, figures.budget_usd, figures.spent_usd, figures.estimated_usd,
    figures.forecast_usd, figures.rule_id
