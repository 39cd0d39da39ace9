-- An account belongs to one tenant at a time.
-- severity: blocking
-- asset: billing.charges
-- owner: team:tenants
SELECT earlier.provider, earlier.account_id, earlier.tenant_id, later.tenant_id, later.valid_from
FROM registry.accounts AS earlier
JOIN registry.accounts AS later
    ON later.provider = earlier.provider
    AND later.kind = earlier.kind
    AND later.account_id = earlier.account_id
    AND (later.valid_from > earlier.valid_from OR (later.valid_from = earlier.valid_from AND later.tenant_id > earlier.tenant_id))
    AND (earlier.valid_until IS NULL OR later.valid_from < earlier.valid_until)
ORDER BY 1, 2
