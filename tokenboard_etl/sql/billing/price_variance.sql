-- What the provider bills for a model's tokens against what the price book says they cost: names a price that is wrong.
-- grain: UTC month x connection x model
-- key: month, connection_id, model
-- month: month
-- owner: team:billing
-- Only days on which both reports are final are compared. A fine-tune is ft-base in costs and ft:base:organization:suffix:id
-- in usage; all of a base share its price and stand here as ft:base. The decisions endpoint is not in the completions report.
-- column month: UTC month, YYYY-MM.
-- column connection_id: The OpenAI organization.
-- column model: Model; of a fine-tune ft: and its base.
-- column price_model: The name in the price book; NULL where the book does not know it, or it was not used.
-- column days: Days compared: those with cost or usage of the model.
-- column cost_tokens: Tokens billed; NULL where a line item does not say in tokens.
-- column usage_tokens: Tokens used, input and output.
-- column free_tokens: Tokens billed at 0, as complimentary ones are.
-- column cost_usd: What the provider bills for them.
-- column estimated_cost_usd: usage.completions' estimate; NULL if any of it is unpriced.
-- column difference_usd: cost_usd - estimated_cost_usd; NULL if any of it is unpriced.
-- column verdict: agrees (within 1 %); price differs; tokens differ (by more than 1 %, so the price is not to blame); partly free; unpriced; no usage (billed, not in the completions report); no cost.
WITH final AS (
    SELECT connection_id, usage_date
    FROM ops.source_days
    WHERE report IN ('costs', 'completions') AND state IN ('settled', 'closed')
    GROUP BY connection_id, usage_date
    HAVING count(*) = 2
),
used AS (
    SELECT
        usage_date, connection_id,
        CASE WHEN model LIKE 'ft:%' THEN 'ft:' || split_part(model, ':', 2) ELSE model END AS model,
        max(price_model) AS price_model,
        CAST(sum(input_tokens + output_tokens) AS DECIMAL(38, 9)) AS usage_tokens,
        sum(estimated_cost_usd) AS estimated_cost_usd,
        count(unpriced_reason) AS unpriced_rows
    FROM usage.completions
    GROUP BY 1, 2, 3
),
billed AS (
    SELECT
        usage_date, connection_id,
        CASE WHEN model LIKE 'ft-%' THEN 'ft:' || substr(model, 4) ELSE model END AS model,
        sum(CASE quantity_unit WHEN 'tokens' THEN quantity WHEN '1000_tokens' THEN quantity * 1000 END) AS cost_tokens,
        sum(CASE WHEN cost_usd <> 0 THEN 0 WHEN quantity_unit = 'tokens' THEN quantity WHEN quantity_unit = '1000_tokens' THEN quantity * 1000 END)
            AS free_tokens,
        count(CASE WHEN quantity_unit IS NULL THEN 1 END) AS rows_without_unit,
        sum(cost_usd) AS cost_usd
    FROM billing.charges
    WHERE provider = 'openai'
        AND source = 'provider'
        AND model IS NOT NULL
        AND (quantity_unit IS NULL OR quantity_unit IN ('tokens', '1000_tokens'))
        AND line_item NOT LIKE 'decisions | %'
    GROUP BY 1, 2, 3
),
monthly AS (
    SELECT
        strftime(final.usage_date, '%Y-%m') AS month,
        final.connection_id,
        coalesce(used.model, billed.model) AS model,
        max(used.price_model) AS price_model,
        count(*) AS days,
        CASE WHEN sum(billed.rows_without_unit) = 0 THEN sum(billed.cost_tokens) END AS cost_tokens,
        sum(used.usage_tokens) AS usage_tokens,
        sum(billed.free_tokens) AS free_tokens,
        sum(billed.cost_usd) AS cost_usd,
        CASE WHEN sum(used.unpriced_rows) = 0 THEN sum(used.estimated_cost_usd) END AS estimated_cost_usd,
        count(used.model) AS days_used,
        count(billed.model) AS days_billed,
        sum(used.unpriced_rows) AS unpriced_rows
    FROM used
    FULL OUTER JOIN billed
        ON billed.usage_date = used.usage_date AND billed.connection_id = used.connection_id AND billed.model = used.model
    JOIN final
        ON final.usage_date = coalesce(used.usage_date, billed.usage_date)
        AND final.connection_id = coalesce(used.connection_id, billed.connection_id)
    GROUP BY 1, 2, 3
)
SELECT
    month,
    connection_id,
    model,
    price_model,
    days,
    cost_tokens,
    usage_tokens,
    free_tokens,
    cost_usd,
    estimated_cost_usd,
    cost_usd - estimated_cost_usd AS difference_usd,
    CASE
        WHEN days_used = 0 THEN 'no usage'
        WHEN days_billed = 0 THEN 'no cost'
        WHEN unpriced_rows > 0 THEN 'unpriced'
        WHEN abs(cost_usd - estimated_cost_usd) * 100 <= abs(cost_usd) THEN 'agrees'
        WHEN abs(cost_tokens - usage_tokens) * 100 > usage_tokens THEN 'tokens differ'
        WHEN free_tokens > 0 AND cost_usd < estimated_cost_usd THEN 'partly free'
        ELSE 'price differs'
    END AS verdict
FROM monthly
