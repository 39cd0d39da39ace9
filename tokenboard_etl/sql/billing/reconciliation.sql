-- Provider's total against what tenants and unallocated spend add up to: the difference is 0, every day.
-- grain: UTC day x connection
-- key: usage_date, connection_id
-- month: usage_date
-- owner: team:billing
-- column usage_date: UTC day.
-- column provider: openai or openrouter.
-- column connection_id: The provider account.
-- column provider_cost_usd: Sum of the provider's own rows.
-- column allocated_cost_usd: Cost in the charges of tenants.
-- column unallocated_cost_usd: Cost in the charges of nobody.
-- column difference_usd: provider - allocated - unallocated; anything but 0 stops publication.
-- column control_total_usd: What a separate, ungrouped request said; NULL where it has not been read.
-- column provider_rows: Rows the provider sent, the bound of rounding between the two requests.
WITH charged AS (
    SELECT
        usage_date, provider, connection_id,
        coalesce(sum(cost_usd) FILTER (tenant_id <> 'unallocated'), 0) AS allocated,
        coalesce(sum(cost_usd) FILTER (tenant_id = 'unallocated'), 0) AS unallocated
    FROM billing.charges
    WHERE source = 'provider'
    GROUP BY usage_date, provider, connection_id
)
SELECT
    coalesce(total.usage_date, charged.usage_date) AS usage_date,
    coalesce(total.provider, charged.provider) AS provider,
    coalesce(total.connection_id, charged.connection_id) AS connection_id,
    total.provider_cost_usd AS provider_cost_usd,
    coalesce(charged.allocated, 0) AS allocated_cost_usd,
    coalesce(charged.unallocated, 0) AS unallocated_cost_usd,
    coalesce(total.provider_cost_usd, 0) - coalesce(charged.allocated, 0) - coalesce(charged.unallocated, 0) AS difference_usd,
    total.control_total_usd AS control_total_usd,
    coalesce(total.provider_rows, 0) AS provider_rows
FROM staging.provider_totals AS total
FULL OUTER JOIN charged ON charged.usage_date = total.usage_date AND charged.connection_id = total.connection_id
