-- FOCUS 1.2, cost side: what the providers charge us in a month, we being the buyer.
-- grain: UTC day x connection x account x API key x line item, and once more where it was corrected
-- owner: team:billing
-- What a provider changed after the month was closed for all tenants is a row of its own, a Correction; the other row is
-- the cost as it was then. Together they are what billing.charges says now. Reads the temporary table units. Parameters:
-- the month's first day, the first day of the next month.
WITH ours AS (
    SELECT connection_id FROM registry.connections WHERE tenant_id IS NULL
),
names AS (
    SELECT provider, account_id, max(name) AS name FROM ops.accounts GROUP BY provider, account_id
),
charged AS (
    SELECT
        usage_date, provider, connection_id, account_id, api_key_id, line_item, model, category, tenant_id,
        quantity, quantity_unit, cost_usd
    FROM billing.charges
    WHERE source = 'provider' AND usage_date >= $month_start AND usage_date < $month_end
),
corrected AS (
    SELECT
        restated.usage_date, restated.provider, restated.connection_id, restated.account_id, restated.api_key_id,
        restated.line_item, sum(restated.delta_usd) AS delta_usd
    FROM billing.restatements AS restated
    JOIN ours ON ours.connection_id = restated.connection_id
    JOIN (
        SELECT month, min(closed_at) AS closed_at FROM billing.closed_months WHERE tenant_id IS NULL GROUP BY month
    ) AS closed
        ON closed.month = strftime(restated.usage_date, '%Y-%m') AND restated.seen_at > closed.closed_at
    WHERE restated.usage_date >= $month_start AND restated.usage_date < $month_end
    GROUP BY
        restated.usage_date, restated.provider, restated.connection_id, restated.account_id, restated.api_key_id,
        restated.line_item
),
as_closed AS (
    SELECT
        coalesce(charged.usage_date, corrected.usage_date) AS usage_date,
        coalesce(charged.provider, corrected.provider) AS provider,
        coalesce(charged.connection_id, corrected.connection_id) AS connection_id,
        coalesce(charged.account_id, corrected.account_id) AS account_id,
        coalesce(charged.api_key_id, corrected.api_key_id) AS api_key_id,
        coalesce(charged.line_item, corrected.line_item) AS line_item,
        charged.model, charged.category, charged.tenant_id, charged.quantity, charged.quantity_unit,
        coalesce(charged.cost_usd, 0) - coalesce(corrected.delta_usd, 0) AS cost_usd,
        coalesce(corrected.delta_usd, 0) AS delta_usd
    FROM charged
    FULL OUTER JOIN corrected
        ON corrected.usage_date = charged.usage_date
        AND corrected.connection_id = charged.connection_id
        AND corrected.account_id = charged.account_id
        AND corrected.api_key_id = charged.api_key_id
        AND corrected.line_item = charged.line_item
),
rows AS (
    SELECT
        usage_date, provider, connection_id, account_id, api_key_id, line_item, model, category, tenant_id,
        CASE WHEN quantity IS NULL THEN CAST(cost_usd AS DECIMAL(38, 18)) ELSE CAST(quantity AS DECIMAL(38, 18)) END AS quantity,
        CASE WHEN quantity IS NULL THEN 'USD' ELSE coalesce(units.focus_unit, quantity_unit, 'Units') END AS unit,
        CAST(cost_usd AS DECIMAL(38, 24)) AS cost,
        CAST(NULL AS VARCHAR) AS charge_class
    FROM as_closed
    LEFT JOIN units ON units.unit = as_closed.quantity_unit
    UNION ALL
    SELECT
        usage_date, provider, connection_id, account_id, api_key_id, line_item, model, category, tenant_id,
        CAST(delta_usd AS DECIMAL(38, 18)), 'USD', CAST(delta_usd AS DECIMAL(38, 24)), 'Correction'
    FROM as_closed
    WHERE delta_usd <> 0
)
SELECT
    rows.cost AS BilledCost,
    rows.connection_id AS BillingAccountId,
    rows.connection_id AS BillingAccountName,
    'USD' AS BillingCurrency,
    CAST($month_end AS TIMESTAMPTZ) AS BillingPeriodEnd,
    CAST($month_start AS TIMESTAMPTZ) AS BillingPeriodStart,
    'Usage' AS ChargeCategory,
    rows.charge_class AS ChargeClass,
    CASE WHEN rows.line_item = '' THEN 'not itemised' ELSE rows.line_item END AS ChargeDescription,
    'Usage-Based' AS ChargeFrequency,
    CAST(rows.usage_date + INTERVAL 1 DAY AS TIMESTAMPTZ) AS ChargePeriodEnd,
    CAST(rows.usage_date AS TIMESTAMPTZ) AS ChargePeriodStart,
    CAST(NULL AS VARCHAR) AS CommitmentDiscountStatus,
    rows.quantity AS ConsumedQuantity,
    rows.unit AS ConsumedUnit,
    rows.cost AS ContractedCost,
    rows.cost AS EffectiveCost,
    CAST(NULL AS VARCHAR) AS InvoiceId,
    CASE rows.provider WHEN 'openai' THEN 'OpenAI' ELSE 'OpenRouter' END AS InvoiceIssuerName,
    rows.cost AS ListCost,
    rows.quantity AS PricingQuantity,
    rows.unit AS PricingUnit,
    CASE rows.provider WHEN 'openai' THEN 'OpenAI' ELSE 'OpenRouter' END AS ProviderName,
    CASE
        WHEN rows.provider = 'openai' THEN 'OpenAI'
        WHEN rows.line_item LIKE '%_/_%' THEN split_part(rows.line_item, '/', 1)
        ELSE 'OpenRouter'
    END AS PublisherName,
    'AI and Machine Learning' AS ServiceCategory,
    CASE rows.provider WHEN 'openai' THEN 'OpenAI API' ELSE 'OpenRouter API' END AS ServiceName,
    'Generative AI' AS ServiceSubcategory,
    nullif(rows.account_id, '') AS SubAccountId,
    CASE WHEN rows.account_id <> '' THEN coalesce(nullif(names.name, ''), rows.account_id) END AS SubAccountName,
    CASE WHEN rows.account_id <> '' THEN CASE rows.provider WHEN 'openai' THEN 'Project' ELSE 'API Key' END END AS SubAccountType,
    nullif(rows.api_key_id, '') AS x_ApiKeyId,
    rows.category AS x_Category,
    rows.model AS x_Model,
    rows.tenant_id AS x_TenantId
FROM rows
LEFT JOIN names ON names.provider = rows.provider AND names.account_id = rows.account_id
WHERE rows.charge_class IS NOT NULL OR rows.cost <> 0 OR rows.unit <> 'USD'
ORDER BY rows.usage_date, rows.connection_id, rows.account_id, rows.api_key_id, rows.line_item, rows.charge_class
