"""Records that are only ever added to: whether what documents rest on still stands in them as it was."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb

from tokenboard_etl.proof.derivation import copy_rows

_PRICES = """
    SELECT DISTINCT before.model, before.tier, before.token_kind, before.valid_from
    FROM policy.prices AS before
    LEFT JOIN prices_now AS now
        ON now.model = before.model
        AND now.tier = before.tier
        AND now.token_kind = before.token_kind
        AND now.version_id = before.version_id
        AND now.valid_from = before.valid_from
        AND now.usd_per_token = before.usd_per_token
        AND (before.valid_until IS NULL OR now.valid_until IS NOT DISTINCT FROM before.valid_until)
    WHERE now.model IS NULL
    ORDER BY ALL
"""

_BINDINGS = """
    WITH billed AS (
        SELECT DISTINCT CAST(month || '-01' AS DATE) AS first_day,
            CAST(CAST(month || '-01' AS DATE) + INTERVAL 1 MONTH AS DATE) AS end_day
        FROM (SELECT unnest($months::VARCHAR[]) AS month)
    )
    SELECT DISTINCT before.provider, before.kind, before.account_id, before.valid_from
    FROM billed
    JOIN registry.accounts AS before
        ON before.tenant_id = $tenant
        AND before.valid_from < billed.end_day
        AND (before.valid_until IS NULL OR before.valid_until > billed.first_day)
    LEFT JOIN accounts_now AS now
        ON now.tenant_id = before.tenant_id
        AND now.provider = before.provider
        AND now.kind = before.kind
        AND now.account_id = before.account_id
        AND now.valid_from = before.valid_from
        AND (
            now.valid_until IS NULL
            OR now.valid_until >= least(coalesce(before.valid_until, billed.end_day), billed.end_day))
    WHERE now.tenant_id IS NULL
    ORDER BY ALL
"""

_MARGINS = """
    SELECT DISTINCT policy_sha256, rule_id FROM (
        (FROM policy.margins EXCEPT ALL FROM margins_now)
        UNION ALL
        (FROM margins_now WHERE policy_sha256 IN (SELECT policy_sha256 FROM policy.margins)
            EXCEPT ALL FROM policy.margins)
    ) ORDER BY ALL
"""


def altered_since(
    then: duckdb.DuckDBPyConnection, now: duckdb.DuckDBPyConnection, tenant_id: str, months: list[str]
) -> Iterator[str]:
    """Sentences for prices, margins and the tenant's bindings of `then` that `now` no longer has.

    Prices and bindings may have ended since, and others may have been added.
    """
    for table, name in (("policy.prices", "prices"), ("registry.accounts", "accounts"), ("policy.margins", "margins")):
        then.execute(f"CREATE TEMP TABLE {name}_now AS FROM {table} LIMIT 0")
        copy_rows(then, now, f"temp.{name}_now", f"FROM {table}")
    for model, tier, kind, day in then.execute(_PRICES).fetchall():
        yield f"The price of {model} ({tier}, {kind}) since {day} was altered (policy.prices)."
    values = {"months": months, "tenant": tenant_id}
    for provider, kind, account_id, day in then.execute(_BINDINGS, values).fetchall():
        yield (
            f"The registry's binding of the {provider} {kind} {account_id} to {tenant_id} since {day} was altered "
            "(registry.accounts)."
        )
    for sha256, rule_id in then.execute(_MARGINS).fetchall():
        yield f"The margin {rule_id} of the policy version {sha256[:12]} was altered (policy.margins)."
