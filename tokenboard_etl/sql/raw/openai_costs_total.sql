-- grain: UTC day, of one load
-- key: usage_date
-- owner: team:data
-- The control total: asked for apart, without grouping.
WITH bucket AS (
    SELECT unnest(from_json(body, '{"data": [{"start_time": "BIGINT", "results": [{
        "amount": {"value": "DECIMAL(38,18)", "currency": "VARCHAR"}}]}]}').data) AS bucket
    FROM landed
),
result AS (
    SELECT make_timestamp(bucket.start_time * 1000000)::DATE AS usage_date, unnest(bucket.results) AS row FROM bucket
),
cost AS (
    SELECT
        usage_date,
        CASE WHEN lower(row.amount.currency) = 'usd' THEN row.amount.value
            ELSE CAST(error('an amount of ' || usage_date || ' is in ''' || coalesce(row.amount.currency, 'no currency')
                || ''', not USD; this system bills from US dollars') AS DECIMAL(38, 18))
        END AS cost_usd
    FROM result
)
SELECT usage_date, CASE WHEN count(cost_usd) = count(*) THEN sum(cost_usd) END AS cost_usd
FROM cost
GROUP BY 1
