-- The separate, ungrouped request was read and agrees with the sum of the rows on settled days.
-- severity: blocking
-- asset: billing.reconciliation
-- owner: team:billing
-- Each OpenAI row is rounded once to 18 decimals, so rows x 1e-18 is the most rounding can explain. OpenRouter sends
-- binary doubles, whose own sums differ in the last digits: 1e-9 USD a row.
SELECT reconciliation.usage_date, reconciliation.connection_id, provider_cost_usd, control_total_usd, provider_rows
FROM billing.reconciliation AS reconciliation
JOIN ops.source_days AS source_day
    ON source_day.connection_id = reconciliation.connection_id
    AND source_day.usage_date = reconciliation.usage_date
    AND source_day.gates_closing
WHERE source_day.state IN ('settled', 'closed')
    AND (
        control_total_usd IS NULL
        OR abs(provider_cost_usd - control_total_usd)
            > (provider_rows + 1) * CASE WHEN reconciliation.provider = 'openai' THEN 0.000000000000000001 ELSE 0.000000001 END
    )
ORDER BY 1, 2
