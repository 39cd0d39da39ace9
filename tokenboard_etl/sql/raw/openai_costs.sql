-- grain: UTC day x project x line item x API key, of one load
-- key: usage_date, project_id, line_item, api_key_id
-- owner: team:data
-- Rows arrive split finer than asked, so equal keys are summed. A missing amount leaves cost_usd NULL, which the
-- table refuses: a sum that skips what it cannot read would be a lower bill.
WITH bucket AS (
    SELECT unnest(from_json(body, '{"data": [{"start_time": "BIGINT", "results": [{
        "amount": {"value": "DECIMAL(38,18)", "currency": "VARCHAR"}, "line_item": "VARCHAR", "project_id": "VARCHAR",
        "api_key_id": "VARCHAR", "quantity": "DECIMAL(38,9)", "quantity_unit": "VARCHAR"}]}]}').data) AS bucket
    FROM landed
),
result AS (
    SELECT make_timestamp(bucket.start_time * 1000000)::DATE AS usage_date, unnest(bucket.results) AS row FROM bucket
),
cost AS (
    SELECT
        usage_date,
        row,
        CASE WHEN lower(row.amount.currency) = 'usd' THEN row.amount.value
            ELSE CAST(error('an amount of ' || usage_date || ' is in ''' || coalesce(row.amount.currency, 'no currency')
                || ''', not USD; this system bills from US dollars') AS DECIMAL(38, 18))
        END AS cost_usd
    FROM result
)
SELECT
    usage_date,
    coalesce(row.project_id, '') AS project_id,
    coalesce(row.line_item, '') AS line_item,
    coalesce(row.api_key_id, '') AS api_key_id,
    CASE WHEN count(cost_usd) = count(*) THEN sum(cost_usd) END AS cost_usd,
    CASE WHEN min(coalesce(row.quantity_unit, '')) = max(coalesce(row.quantity_unit, '')) THEN sum(row.quantity) END AS quantity,
    CASE WHEN min(coalesce(row.quantity_unit, '')) = max(coalesce(row.quantity_unit, '')) THEN max(row.quantity_unit) END AS quantity_unit,
    count(*) AS provider_rows
FROM cost
GROUP BY 1, 2, 3, 4
