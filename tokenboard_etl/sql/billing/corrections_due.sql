-- What a closed month comes to now and was not invoiced: stands as adjustments on the tenant's next invoice.
-- grain: UTC month x tenant x provider x account x line item x margin rule
-- key: month, tenant_id, provider, account_id, line_item, margin_rule_id
-- owner: team:billing
-- Spend that was restated, or bound to a tenant, after its month was closed. Reversals by credit note do not count as
-- not invoiced: what was taken back does not return by itself, and is not given back a second time.
-- column month: Closed UTC month, YYYY-MM.
-- column tenant_id: Tenant.
-- column provider: openai or openrouter.
-- column account_id: Project id or key hash.
-- column line_item: The provider's line item or model.
-- column margin_rule_id: The rule that set the price.
-- column rated_usd: What it comes to today, under the policy the month was closed with.
-- column invoiced_usd: What was invoiced so far, adjustments included.
-- column reversed_usd: What credit notes took back of it by line, negative.
-- column due_usd: rated_usd - invoiced_usd, exact; a line that was taken back is corrected to no less than nothing.
WITH sides AS (
    SELECT
        drafts.month, drafts.tenant_id, drafts.provider, drafts.account_id, drafts.line_item, drafts.margin_rule_id,
        drafts.billed_exact AS rated_usd, CAST(0 AS DECIMAL(38, 24)) AS invoiced_usd,
        CAST(0 AS DECIMAL(38, 24)) AS reversed_usd
    FROM billing.invoice_drafts AS drafts
    UNION ALL
    SELECT
        line.service_month AS month, document.tenant_id, line.provider, line.account_id, line.line_item,
        line.margin_rule_id, CAST(0 AS DECIMAL(38, 24)) AS rated_usd,
        CASE WHEN line.kind = 'credit_note' THEN 0 ELSE line.billed_exact END AS invoiced_usd,
        CASE WHEN line.kind = 'credit_note' THEN line.billed_exact ELSE 0 END AS reversed_usd
    FROM billing.invoice_lines AS line
    JOIN billing.documents AS document ON document.invoice_number = line.invoice_number
    WHERE line.kind IN ('usage', 'adjustment', 'credit_note') AND line.provider <> ''
),
totals AS (
    SELECT
        month, tenant_id, provider, account_id, line_item, margin_rule_id,
        sum(rated_usd) AS rated_usd, sum(invoiced_usd) AS invoiced_usd, sum(reversed_usd) AS reversed_usd,
        greatest(sum(rated_usd), least(sum(rated_usd), 0) - sum(reversed_usd)) AS standing_usd
    FROM sides
    GROUP BY month, tenant_id, provider, account_id, line_item, margin_rule_id
),
closed AS (
    SELECT DISTINCT month, tenant_id FROM billing.closed_months
)
SELECT
    totals.month,
    totals.tenant_id,
    totals.provider,
    totals.account_id,
    totals.line_item,
    totals.margin_rule_id,
    totals.rated_usd,
    totals.invoiced_usd,
    totals.reversed_usd,
    totals.standing_usd - totals.invoiced_usd AS due_usd
FROM totals
LEFT JOIN closed AS for_all ON for_all.month = totals.month AND for_all.tenant_id IS NULL
LEFT JOIN closed AS for_one ON for_one.month = totals.month AND for_one.tenant_id = totals.tenant_id
LEFT JOIN staging.first_documents AS first
    ON first.tenant_id = totals.tenant_id AND first.service_month = totals.month
WHERE (for_all.month IS NOT NULL OR for_one.month IS NOT NULL)
    AND totals.standing_usd <> totals.invoiced_usd
    AND NOT coalesce(first.is_reversed, false)
