-- FOCUS 1.2, billing side: what we charge our tenants in a month, we being the provider. No cost and no margin.
-- grain: line of a document of the month, its tax, and lines of tenants who are still to be invoiced
-- owner: team:billing
-- The rows of a document add up to it, because each is rounded as the document's line is. What is not invoiced yet has no
-- InvoiceId and is exact. A line that corrects an earlier document is a Correction. Reads the temporary tables issued
-- (lines and taxes of documents), units and seller. Parameters: the month, its first day, the first day of the next month.
WITH names AS (
    SELECT
        tenant_id, provider, account_id,
        coalesce(max_by(name, seen_from) FILTER (seen_from < $month_end), min_by(name, seen_from)) AS name
    FROM ops.told_names
    GROUP BY tenant_id, provider, account_id
),
to_be_invoiced AS (
    SELECT
        charges.tenant_id, tenants.name AS tenant_name, charges.provider, charges.billed_account_id AS account_id,
        coalesce(max(names.name), charges.billed_account_id) AS account_name, charges.invoice_item AS line_item,
        CASE WHEN count(DISTINCT coalesce(charges.quantity_unit, '')) = 1 THEN sum(charges.quantity) END AS quantity,
        CASE WHEN count(DISTINCT coalesce(charges.quantity_unit, '')) = 1 THEN max(charges.quantity_unit) END AS unit,
        CAST(sum(charges.billed_usd) AS DECIMAL(38, 24)) AS amount
    FROM billing.charges AS charges
    JOIN registry.tenants AS tenants ON tenants.tenant_id = charges.tenant_id
    LEFT JOIN names
        ON names.tenant_id = charges.tenant_id AND names.provider = charges.provider
        AND names.account_id = charges.billed_account_id
    WHERE charges.invoice_item IS NOT NULL AND charges.usage_date >= $month_start AND charges.usage_date < $month_end
        AND charges.tenant_id NOT IN (SELECT tenant_id FROM billing.invoices WHERE month = $month)
        AND NOT EXISTS (
            SELECT 1 FROM billing.closed_months AS closed
            WHERE closed.month = $month AND (closed.tenant_id IS NULL OR closed.tenant_id = charges.tenant_id)
        )
    GROUP BY
        charges.tenant_id, tenants.name, charges.provider, charges.billed_account_id, charges.invoice_item,
        charges.margin_rule_id
),
keys AS (
    SELECT DISTINCT provider, account_id FROM registry.accounts WHERE kind = 'api_key'
),
lines AS (
    SELECT
        invoice_number, line_no, kind, corrects, tenant_id, tenant_name, currency, charge_start, description, provider,
        account_id, account_name, line_item, quantity, unit, amount
    FROM issued
    UNION ALL
    SELECT
        NULL, NULL, 'usage', NULL, tenant_id, tenant_name, 'USD', CAST($month_start AS DATE),
        CASE WHEN line_item = '' THEN 'not itemised' ELSE line_item END, provider,
        account_id, account_name, line_item, quantity, unit, amount
    FROM to_be_invoiced
),
classed AS (
    SELECT
        lines.*,
        CASE
            WHEN kind = 'tax' THEN 'Tax'
            WHEN kind IN ('fee', 'minimum') THEN 'Purchase'
            WHEN kind = 'credit' THEN 'Credit'
            WHEN provider <> '' THEN 'Usage'
            ELSE 'Adjustment'
        END AS category
    FROM lines
),
measured AS (
    SELECT
        classed.*,
        CASE WHEN category IN ('Usage', 'Purchase') THEN
            CASE WHEN quantity IS NULL THEN CAST(amount AS DECIMAL(38, 18)) ELSE CAST(quantity AS DECIMAL(38, 18)) END
        END AS priced_quantity,
        CASE WHEN category IN ('Usage', 'Purchase') THEN
            CASE WHEN quantity IS NULL THEN currency ELSE coalesce(units.focus_unit, classed.unit, 'Units') END
        END AS priced_unit
    FROM classed
    LEFT JOIN units ON units.unit = classed.unit
)
SELECT
    measured.amount AS BilledCost,
    measured.tenant_id AS BillingAccountId,
    measured.tenant_name AS BillingAccountName,
    measured.currency AS BillingCurrency,
    CAST($month_end AS TIMESTAMPTZ) AS BillingPeriodEnd,
    CAST($month_start AS TIMESTAMPTZ) AS BillingPeriodStart,
    measured.category AS ChargeCategory,
    CASE WHEN measured.corrects IS NOT NULL THEN 'Correction' END AS ChargeClass,
    measured.description AS ChargeDescription,
    CASE measured.category WHEN 'Usage' THEN 'Usage-Based' WHEN 'Purchase' THEN 'Recurring' ELSE 'One-Time' END AS ChargeFrequency,
    CAST(measured.charge_start + INTERVAL 1 MONTH AS TIMESTAMPTZ) AS ChargePeriodEnd,
    CAST(measured.charge_start AS TIMESTAMPTZ) AS ChargePeriodStart,
    CAST(NULL AS VARCHAR) AS CommitmentDiscountStatus,
    CASE WHEN measured.category = 'Usage' THEN measured.priced_quantity END AS ConsumedQuantity,
    CASE WHEN measured.category = 'Usage' THEN measured.priced_unit END AS ConsumedUnit,
    measured.amount AS ContractedCost,
    measured.amount AS EffectiveCost,
    measured.invoice_number AS InvoiceId,
    seller.name AS InvoiceIssuerName,
    measured.amount AS ListCost,
    measured.priced_quantity AS PricingQuantity,
    measured.priced_unit AS PricingUnit,
    seller.name AS ProviderName,
    CASE
        WHEN measured.provider = 'openai' THEN 'OpenAI'
        WHEN measured.provider = 'openrouter' AND measured.line_item LIKE '%_/_%' THEN split_part(measured.line_item, '/', 1)
        WHEN measured.provider = 'openrouter' THEN 'OpenRouter'
        ELSE seller.name
    END AS PublisherName,
    'AI and Machine Learning' AS ServiceCategory,
    CASE measured.provider
        WHEN 'openai' THEN 'OpenAI API' WHEN 'openrouter' THEN 'OpenRouter API' ELSE 'Account'
    END AS ServiceName,
    CASE WHEN measured.provider <> '' THEN 'Generative AI' ELSE 'Other (AI and Machine Learning)' END AS ServiceSubcategory,
    nullif(measured.account_id, '') AS SubAccountId,
    CASE WHEN measured.account_id <> '' THEN coalesce(nullif(measured.account_name, ''), measured.account_id) END AS SubAccountName,
    CASE
        WHEN measured.account_id = '' THEN NULL
        WHEN measured.provider <> 'openai' OR keys.account_id IS NOT NULL THEN 'API Key'
        ELSE 'Project'
    END AS SubAccountType,
    measured.corrects AS x_CorrectsInvoice,
    measured.line_no AS x_InvoiceLine,
    measured.kind AS x_LineKind
FROM measured
CROSS JOIN seller
LEFT JOIN keys ON keys.provider = measured.provider AND keys.account_id = measured.account_id
ORDER BY measured.tenant_id, measured.invoice_number, measured.line_no, measured.provider, measured.account_id, measured.line_item, measured.amount
