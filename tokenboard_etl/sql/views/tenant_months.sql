-- What each tenant's month costs and brings in, whether it is final, and what its next invoice corrects.
-- grain: UTC month x tenant
-- owner: team:billing
-- Figures as they are today, of both providers together; what was invoiced is in billing.invoices.
-- column month: UTC month, YYYY-MM.
-- column tenant_id: Tenant; 'unallocated' where nobody is bound.
-- column tenant_name: The tenant's name; NULL for unallocated spend.
-- column state: open, settled or closed: that of the provider of which least is known; NULL where all is estimated.
-- column cost_usd: What the providers charge us; provider figures only.
-- column billed_usd: What the tenant is charged; provider figures only.
-- column margin_usd: billed_usd - cost_usd.
-- column margin_percent: Share of billed_usd that remains, cut to two decimals; NULL where nothing is billed.
-- column estimated_billed_usd: What else is charged so far, as estimated; not in billed_usd.
-- column due_usd: What came to something else after the month was closed: the next invoice corrects it.
WITH days AS (
    SELECT
        strftime(usage_date, '%Y-%m') AS month, tenant_id, sum(cost_usd) AS cost_usd, sum(billed_usd) AS billed_usd,
        sum(margin_usd) AS margin_usd, sum(estimated_billed_usd) AS estimated_billed_usd
    FROM billing.tenant_days
    GROUP BY 1, 2
),
states AS (
    SELECT
        month, tenant_id,
        CASE min(CASE state WHEN 'open' THEN 0 WHEN 'settled' THEN 1 ELSE 2 END)
            WHEN 0 THEN 'open' WHEN 1 THEN 'settled' ELSE 'closed'
        END AS state
    FROM billing.tenant_months
    GROUP BY month, tenant_id
),
due AS (
    SELECT month, tenant_id, sum(due_usd) AS due_usd
    FROM billing.corrections_due
    GROUP BY month, tenant_id
)
SELECT
    days.month,
    days.tenant_id,
    tenants.name AS tenant_name,
    states.state,
    days.cost_usd,
    days.billed_usd,
    days.margin_usd,
    margins.margin_percent,
    days.estimated_billed_usd,
    coalesce(due.due_usd, 0) AS due_usd
FROM days
LEFT JOIN states ON states.month = days.month AND states.tenant_id = days.tenant_id
LEFT JOIN due ON due.month = days.month AND due.tenant_id = days.tenant_id
LEFT JOIN billing.gross_margins AS margins ON margins.month = days.month AND margins.tenant_id = days.tenant_id
LEFT JOIN registry.tenants AS tenants ON tenants.tenant_id = days.tenant_id
