-- What each provider says a day cost in all, straight from the raw rows: the measure charges are held against.
-- grain: UTC day x connection
-- key: usage_date, connection_id
-- owner: team:data
-- Tenants' own accounts are left out: they are no cost of ours.
-- column usage_date: UTC day.
-- column provider: openai or openrouter.
-- column connection_id: The provider account.
-- column provider_cost_usd: Sum of the provider's rows; 0 for a day confirmed to be without cost.
-- column provider_rows: Rows the provider sent.
-- column control_total_usd: The figure of the separate, ungrouped request; NULL while that has not been read.
WITH confirmed AS (
    SELECT DISTINCT usage_date, provider, connection_id
    FROM ops.load_days
    WHERE ((provider = 'openai' AND report = 'costs') OR (provider = 'openrouter' AND report = 'analytics'))
        AND connection_id NOT IN (SELECT connection_id FROM registry.connections WHERE tenant_id IS NOT NULL)
),
asked_apart AS (
    SELECT DISTINCT usage_date, connection_id FROM ops.load_days WHERE report IN ('costs_total', 'analytics_total')
),
cost AS (
    SELECT usage_date, connection_id, sum(cost_usd) AS cost_usd, CAST(sum(provider_rows) AS BIGINT) AS provider_rows
    FROM raw.openai_costs
    GROUP BY usage_date, connection_id
    UNION ALL
    SELECT usage_date, connection_id, sum(cost_usd) AS cost_usd, CAST(sum(provider_rows) AS BIGINT) AS provider_rows
    FROM raw.openrouter_analytics
    WHERE key_hash IS NULL
    GROUP BY usage_date, connection_id
),
control AS (
    SELECT usage_date, connection_id, cost_usd FROM raw.openai_costs_total
    UNION ALL
    SELECT usage_date, connection_id, cost_usd FROM raw.openrouter_analytics_total
)
SELECT
    confirmed.usage_date,
    confirmed.provider,
    confirmed.connection_id,
    coalesce(cost.cost_usd, 0) AS provider_cost_usd,
    coalesce(cost.provider_rows, 0) AS provider_rows,
    CASE WHEN asked_apart.usage_date IS NOT NULL THEN coalesce(control.cost_usd, 0) END AS control_total_usd
FROM confirmed
LEFT JOIN cost ON cost.usage_date = confirmed.usage_date AND cost.connection_id = confirmed.connection_id
LEFT JOIN asked_apart
    ON asked_apart.usage_date = confirmed.usage_date AND asked_apart.connection_id = confirmed.connection_id
LEFT JOIN control ON control.usage_date = confirmed.usage_date AND control.connection_id = confirmed.connection_id
