-- Every cost of ours, and every estimate in the place of one, with who pays for it and the policy that prices it.
-- grain: UTC day x connection x account x API key x line item x source x priced or not
-- key: usage_date, connection_id, account_id, api_key_id, line_item, source, is_priced
-- owner: team:billing
-- A binding of the API key goes before one of the project. Bindings do not overlap (check), so every row stays one.
-- A tenant's own account is no cost of ours (billing.own_account_costs). A month that is closed for a tenant keeps the
-- version it was closed under; all others have the one in use. In such a month a key that was bound after closing takes
-- nothing from the project's tenant, who was invoiced for it; what nobody had goes to whoever is bound. A project is not
-- told to a tenant who has but a key in it, unless its document of the month did so already (billing.former_lines).
-- column usage_date: UTC day of the cost.
-- column tenant_id: Who pays; NULL where nobody is bound.
-- column provider: openai or openrouter.
-- column connection_id: The provider account.
-- column account_id: Project id or key hash; empty for cost no account explains.
-- column api_key_id: API key id or key hash; empty where the provider does not say.
-- column billed_account_id: What the tenant's documents call the account by: account_id, or api_key_id where only the key is the tenant's.
-- column line_item: The provider's line item or model.
-- column model: Model; NULL for items that are no model.
-- column quantity: How much, in quantity_unit.
-- column quantity_unit: Unit of the quantity.
-- column cost_usd: What the provider charges us, or is taken to; NULL where nothing says.
-- column is_priced: false where nothing says.
-- column source: provider or estimated.
-- column policy_sha256: The version of the policy.
-- column load_id: The load that brought the cost; NULL for estimates.
WITH costs AS (
    SELECT
        usage_date, provider, connection_id, account_id, api_key_id, line_item, model, quantity, quantity_unit, cost_usd,
        true AS is_priced, 'provider' AS source, load_id
    FROM staging.costs
    UNION ALL
    SELECT
        usage_date, provider, connection_id, account_id, api_key_id, line_item, model, quantity, quantity_unit, cost_usd,
        is_priced, 'estimated' AS source, NULL AS load_id
    FROM staging.estimated_costs
),
bound AS (
    SELECT
        costs.usage_date, costs.provider, costs.connection_id, costs.account_id, costs.api_key_id, costs.line_item,
        costs.model, costs.quantity, costs.quantity_unit, costs.cost_usd, costs.is_priced, costs.source, costs.load_id,
        strftime(costs.usage_date, '%Y-%m') AS month,
        CASE
            WHEN by_account.tenant_id IS NOT NULL
                AND by_key.bound_at > coalesce(account_for_one.closed_at, account_for_all.closed_at)
                AND by_account.bound_at <= coalesce(account_for_one.closed_at, account_for_all.closed_at)
                THEN by_account.tenant_id
            ELSE coalesce(by_key.tenant_id, by_account.tenant_id)
        END AS tenant_id,
        by_account.tenant_id AS account_tenant_id,
        by_key.bound_at AS key_bound_at
    FROM costs
    LEFT JOIN registry.accounts AS by_key
        ON by_key.provider = costs.provider
        AND by_key.kind = 'api_key'
        AND by_key.account_id = costs.api_key_id
        AND by_key.valid_from <= costs.usage_date
        AND (by_key.valid_until IS NULL OR costs.usage_date < by_key.valid_until)
    LEFT JOIN registry.accounts AS by_account
        ON by_account.provider = costs.provider
        AND by_account.kind IN ('project', 'key')
        AND by_account.account_id = costs.account_id
        AND by_account.valid_from <= costs.usage_date
        AND (by_account.valid_until IS NULL OR costs.usage_date < by_account.valid_until)
    LEFT JOIN billing.closed_months AS account_for_one
        ON account_for_one.month = strftime(costs.usage_date, '%Y-%m')
        AND account_for_one.tenant_id = by_account.tenant_id
    LEFT JOIN billing.closed_months AS account_for_all
        ON account_for_all.month = strftime(costs.usage_date, '%Y-%m') AND account_for_all.tenant_id IS NULL
    WHERE NOT EXISTS (
        SELECT 1 FROM registry.connections AS own
        WHERE own.connection_id = costs.connection_id AND own.tenant_id IS NOT NULL
    )
)
SELECT
    bound.usage_date, bound.tenant_id, bound.provider, bound.connection_id, bound.account_id, bound.api_key_id,
    CASE
        WHEN bound.tenant_id IS NULL OR bound.tenant_id IS NOT DISTINCT FROM bound.account_tenant_id THEN bound.account_id
        WHEN coalesce(for_one.closed_at, for_all.closed_at, (SELECT max(as_of) FROM ops.clock))
                <= (SELECT max(closed_until) FROM billing.former_lines)
            AND bound.key_bound_at <= (SELECT max(closed_until) FROM billing.former_lines)
            THEN bound.account_id
        ELSE bound.api_key_id
    END AS billed_account_id,
    bound.line_item, bound.model, bound.quantity, bound.quantity_unit, bound.cost_usd, bound.is_priced, bound.source,
    coalesce(
        for_one.policy_sha256,
        for_all.policy_sha256,
        (SELECT policy_sha256 FROM policy.uses WHERE use_no = (SELECT max(use_no) FROM policy.uses))
    ) AS policy_sha256,
    bound.load_id
FROM bound
LEFT JOIN billing.closed_months AS for_one ON for_one.month = bound.month AND for_one.tenant_id = bound.tenant_id
LEFT JOIN billing.closed_months AS for_all ON for_all.month = bound.month AND for_all.tenant_id IS NULL
