-- Whose accounts were, in a month that is closed, is what it was when the month was closed.
-- severity: blocking
-- asset: billing.charges
-- owner: team:tenants
-- Accounts nobody had may be bound later; their spend then comes as an adjustment. What was invoiced to one tenant must
-- not move to another: end the binding after the month, or credit the invoice.
WITH closings AS (
    SELECT
        issue.registry_sha256, closed.month, closed.tenant_id,
        CAST(closed.month || '-01' AS DATE) AS month_start,
        CAST(CAST(closed.month || '-01' AS DATE) + INTERVAL 1 MONTH AS DATE) AS month_end
    FROM billing.closed_months AS closed
    JOIN billing.issues AS issue ON issue.month = closed.month AND issue.issued_at = closed.closed_at
),
held AS (
    SELECT DISTINCT
        closings.month, binding.tenant_id, binding.provider, binding.kind, binding.account_id,
        greatest(binding.valid_from, closings.month_start) AS first_day,
        least(coalesce(binding.valid_until, closings.month_end), closings.month_end) AS end_day
    FROM closings
    JOIN registry.binding_versions AS binding
        ON binding.registry_sha256 = closings.registry_sha256
        AND (closings.tenant_id IS NULL OR binding.tenant_id = closings.tenant_id)
        AND binding.valid_from < closings.month_end
        AND (binding.valid_until IS NULL OR binding.valid_until > closings.month_start)
)
SELECT held.month, held.tenant_id, held.provider, held.kind, held.account_id, held.first_day, held.end_day
FROM held
LEFT JOIN registry.accounts AS known
    ON known.tenant_id = held.tenant_id
    AND known.provider = held.provider
    AND known.kind = held.kind
    AND known.account_id = held.account_id
    AND known.valid_from <= held.first_day
    AND (known.valid_until IS NULL OR known.valid_until >= held.end_day)
WHERE known.tenant_id IS NULL
ORDER BY 1, 2, 3, 5
