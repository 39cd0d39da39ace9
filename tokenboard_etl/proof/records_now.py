"""Records that are only ever added to: whether what documents rest on still stands in them as it was."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb

from tokenboard_etl.periods import utc_day
from tokenboard_etl.proof.derivation import copy_rows
from tokenboard_etl.proof.evidence import Evidence

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

_RULES = """
    SELECT DISTINCT policy_sha256, rule_id FROM (
        (FROM policy.{table} EXCEPT ALL FROM {table}_now)
        UNION ALL
        (FROM {table}_now WHERE policy_sha256 IN (SELECT policy_sha256 FROM policy.{table})
            EXCEPT ALL FROM policy.{table})
    ) ORDER BY ALL
"""

_DEFAULTS = """
    SELECT before.rule_id
    FROM policy.default_margins AS before
    LEFT JOIN default_margins_now AS now
        ON now.rule_id = before.rule_id
        AND now.provider = before.provider
        AND now.multiplier = before.multiplier
        AND now.valid_from = before.valid_from
        AND (
            now.valid_until IS NOT DISTINCT FROM before.valid_until
            OR (before.valid_until IS NULL AND now.valid_until >= $day))
    WHERE now.rule_id IS NULL AND before.valid_from < $day
    ORDER BY ALL
"""
"""One of the day of issue prices no month that was over, and may have made way for another of that day."""

_CLOSINGS = "SELECT DISTINCT month FROM (FROM closed_months_then EXCEPT ALL FROM closed_months_now) ORDER BY ALL"

_RULES_OF = {
    "margins": "margin",
    "categories": "category",
    "invoiced_estimates": "invoiced estimate",
    "price_overrides": "price override",
    "fallback_prices": "fallback price",
}
"""What versions of the policy have rows of that decide lines, and what one is called. The last three: of estimates."""

_NOW = {
    "policy.prices": "prices",
    "registry.accounts": "accounts",
    **{f"policy.{table}": table for table in _RULES_OF},
    "policy.default_margins": "default_margins",
    "billing.closed_months": "closed_months",
}


def altered_since(
    then: duckdb.DuckDBPyConnection, now: duckdb.DuckDBPyConnection, evidence: Evidence, tenant_id: str
) -> Iterator[str]:
    """Sentences for prices, rules, closings and the tenant's bindings of `then` that `now` no longer has.

    Prices, default margins and bindings may have ended since, and others may have been added.
    """
    for table, name in _NOW.items():
        then.execute(f"CREATE TEMP TABLE {name}_now AS FROM {table} LIMIT 0")
        copy_rows(then, now, f"temp.{name}_now", f"FROM {table}")
    for model, tier, kind, day in then.execute(_PRICES).fetchall():
        yield f"The price of {model} ({tier}, {kind}) since {day} was altered (policy.prices)."
    months = sorted({f"{day:%Y-%m}" for share in evidence.shares for day in share.days})
    values = {"months": months, "tenant": tenant_id}
    for provider, kind, account_id, day in then.execute(_BINDINGS, values).fetchall():
        yield (
            f"The registry's binding of the {provider} {kind} {account_id} to {tenant_id} since {day} was altered "
            "(registry.accounts)."
        )
    for table, rule in _RULES_OF.items():
        for sha256, rule_id in then.execute(_RULES.format(table=table)).fetchall():
            yield f"The {rule} {rule_id} of the policy version {sha256[:12]} was altered (policy.{table})."
    for (rule_id,) in then.execute(_DEFAULTS, {"day": utc_day(evidence.issued_at)}).fetchall():
        yield f"The margin {rule_id} was altered (policy.default_margins)."
    then.execute("CREATE TEMP TABLE closed_months_then AS FROM billing.closed_months")
    if "credits" not in evidence.request:
        then.execute("INSERT INTO closed_months_then VALUES ($1, $2, $3, $4, $5, $6)", _own_closing(evidence))
    for (month,) in then.execute(_CLOSINGS).fetchall():
        yield f"The record of how {month} was closed was altered (billing.closed_months)."


def _own_closing(evidence: Evidence) -> list[object]:
    """The row of billing.closed_months that was written after the evidence, in the same transaction."""
    reason, by, _ = evidence.request["accepted"] or (None, None, None)
    only_for = evidence.request["tenant_id"]
    return [evidence.month, only_for, evidence.issued_at, reason, evidence.policy_sha256, by]
