"""Versions of the policy in the warehouse: each is kept as it was, with its rules, and can rate again at any time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import count, starmap

import duckdb

from tokenboard_etl.billing.policy_file import PolicyFile, parse_policy
from tokenboard_etl.billing.policy_globs import to_like
from tokenboard_etl.billing.policy_rules import (
    Budget,
    Category,
    FallbackPrice,
    InvoicedEstimates,
    Margin,
    PriceOverride,
)
from tokenboard_etl.tenants.registry import rerate_open_months
from tokenboard_etl.warehouse.connection import transaction

_MATCHED = ("tenant", "provider", "model", "line_item", "category")


def record_policy(connection: duckdb.DuckDBPyConnection, file: PolicyFile, now: datetime) -> bool:
    """Puts a version of the policy into use from now on; True if it was another one before.

    Months that are not closed will be rated again; closed ones keep the version they were closed under.
    """
    is_new = sha256_in_use(connection) != file.sha256
    with transaction(connection):
        known = connection.execute(
            "SELECT count(*) FROM policy.versions WHERE policy_sha256 = $1", [file.sha256]
        ).fetchall()
        if known == [(0,)]:
            connection.execute(
                "INSERT INTO policy.versions VALUES ($1, $2, $3, $4)",
                [file.sha256, file.content, now, file.policy.margin_alarm_percent],
            )
            _append(connection, "policy.margins", file, [_margin(each) for each in file.policy.margins])
            _append(connection, "policy.invoiced_estimates", file, map(_named, file.policy.invoiced_estimates))
        if is_new:
            connection.execute(
                "INSERT INTO policy.uses SELECT max(use_no) + 1, $1, $2 FROM policy.uses", [file.sha256, now]
            )
        if _complete_versions(connection) or is_new:
            rerate_open_months(connection)
    return is_new


def sha256_in_use(connection: duckdb.DuckDBPyConnection) -> str:
    """The version that prices every month that is not closed."""
    rows = connection.execute("SELECT policy_sha256 FROM policy.uses ORDER BY use_no DESC LIMIT 1").fetchall()
    return str(rows[0][0])


def policy_in_use(connection: duckdb.DuckDBPyConnection) -> PolicyFile:
    """The same version, read from what was kept of it."""
    return policy_of(connection, sha256_in_use(connection))


def policy_of(connection: duckdb.DuckDBPyConnection, sha256: str) -> PolicyFile:
    """A version that was ever used, read from what was kept of it."""
    rows = connection.execute("SELECT content FROM policy.versions WHERE policy_sha256 = $1", [sha256]).fetchall()
    return parse_policy(str(rows[0][0]).encode(), f"the policy {sha256[:12]}, used before")


def _complete_versions(connection: duckdb.DuckDBPyConnection) -> bool:
    """Writes the rules that versions have no rows of: new ones, and those from before there were these tables."""
    bare = connection.execute(
        """
        SELECT policy_sha256, content FROM policy.versions
        WHERE policy_sha256 NOT IN (SELECT policy_sha256 FROM policy.categories)
            AND policy_sha256 NOT IN (SELECT policy_sha256 FROM policy.fallback_prices)
        """
    ).fetchall()
    for sha256, content in bare:
        file = _version(sha256, content)
        rules, budgets = file.policy, file.policy.budgets
        _append(connection, "policy.categories", file, map(_category, count(1), rules.categories))
        _append(connection, "policy.fallback_prices", file, map(_fallback, rules.fallback_prices))
        _append(connection, "policy.budgets", file, map(_budget, budgets))
        _append(
            connection, "policy.budget_thresholds", file, [(b.id, percent) for b in budgets for percent in b.thresholds]
        )
    without_prices = connection.execute(
        """
        SELECT policy_sha256, content FROM policy.versions
        WHERE contains(content, 'price_overrides')
            AND policy_sha256 NOT IN (SELECT policy_sha256 FROM policy.price_overrides)
        """
    ).fetchall()
    found = [file for file in starmap(_version, without_prices) if file.policy.price_overrides]
    for file in found:
        _append(connection, "policy.price_overrides", file, map(_price, file.policy.price_overrides))
    return bool(bare or found)


def _version(sha256: str, content: str) -> PolicyFile:
    return parse_policy(content.encode(), "a policy used before")._replace(sha256=sha256)


def _append(
    connection: duckdb.DuckDBPyConnection, table: str, file: PolicyFile, rows: Iterable[tuple[object, ...]]
) -> None:
    appender = connection.appender(table)
    appender.append_rows([(file.sha256, *row) for row in rows])
    appender.flush()


def _margin(margin: Margin) -> tuple[object, ...]:
    patterns = [text for name in _MATCHED for text in (getattr(margin, name), _like(getattr(margin, name)))]
    return (margin.id, margin.factor, margin.precedence, margin.valid_from, margin.valid_until, *patterns)


def _budget(budget: Budget) -> tuple[object, ...]:
    facts = (budget.id, budget.usd, budget.precedence, budget.valid_from, budget.valid_until)
    return (*facts, budget.tenant, _like(budget.tenant), budget.push)


def _category(position: int, rule: Category) -> tuple[object, ...]:
    patterns = [_like(pattern) for pattern in (rule.api_key, rule.project, rule.model)]
    over = rule.over_tokens_per_request
    needs_usage = over is not None or not any(patterns)
    return (position, rule.id, rule.category, rule.valid_from, rule.valid_until, over, *patterns, needs_usage)


def _fallback(price: FallbackPrice) -> tuple[object, ...]:
    facts = (price.id, price.category, price.unit, price.usd, price.precedence, price.valid_from, price.valid_until)
    return (*facts, _like(price.tenant))


def _price(price: PriceOverride) -> tuple[object, ...]:
    what = (price.id, to_like(price.model), price.tier, price.token_kind, price.usd_per_token)
    return (*what, price.precedence, price.valid_from, price.valid_until)


def _named(rule: InvoicedEstimates) -> tuple[object, ...]:
    return (rule.id, rule.tenant, rule.valid_from, rule.valid_until)


def _like(pattern: str | None) -> str | None:
    return None if pattern is None else to_like(pattern)
