-- The separate, ungrouped request agrees with the sum of the rows on days that may still change.
-- severity: warning
-- asset: billing.reconciliation
-- owner: team:billing
-- Such days move between two requests; the next night settles it.
SELECT reconciliation.usage_date, reconciliation.connection_id, provider_cost_usd, control_total_usd, provider_rows
FROM billing.reconciliation AS reconciliation
JOIN ops.source_days AS source_day
    ON source_day.connection_id = reconciliation.connection_id
    AND source_day.usage_date = reconciliation.usage_date
    AND source_day.gates_closing
WHERE source_day.state = 'provisional'
    AND abs(provider_cost_usd - control_total_usd)
        > (provider_rows + 1) * CASE WHEN reconciliation.provider = 'openai' THEN 0.000000000000000001 ELSE 0.000000001 END
ORDER BY 1, 2
