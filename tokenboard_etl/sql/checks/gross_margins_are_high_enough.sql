-- No tenant of an open month is served at a loss, or for less than the policy's margin_alarm_percent.
-- severity: alarm
-- asset: billing.gross_margins
-- owner: team:billing
SELECT margins.month, margins.tenant_id, margins.cost_usd, margins.billed_usd, margins.margin_percent, margins.alarm_percent
FROM billing.gross_margins AS margins
JOIN (SELECT month, tenant_id FROM billing.tenant_months WHERE state <> 'closed' GROUP BY month, tenant_id) AS still_open
    ON still_open.month = margins.month AND still_open.tenant_id = margins.tenant_id
WHERE margins.is_low
ORDER BY margins.month, margins.tenant_id
