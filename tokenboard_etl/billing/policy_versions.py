"""Versions of the policy in the warehouse: each is kept as it was, with its margins, and can rate again at any time."""

from __future__ import annotations

from datetime import datetime

import duckdb

from tokenboard_etl.billing.policy_file import PolicyFile, parse_policy
from tokenboard_etl.billing.policy_globs import to_like
from tokenboard_etl.billing.policy_rules import Budget, Margin
from tokenboard_etl.tenants.registry import rerate_open_months
from tokenboard_etl.warehouse.connection import transaction

_MATCHED = ("tenant", "provider", "model", "line_item", "category")


def record_policy(connection: duckdb.DuckDBPyConnection, file: PolicyFile, now: datetime) -> bool:
    """Puts a version of the policy into use from now on; True if it was another one before.

    Months that are not closed will be rated again; closed ones keep the version they were closed under.
    """
    if sha256_in_use(connection) == file.sha256:
        return False
    with transaction(connection):
        known = connection.execute(
            "SELECT count(*) FROM policy.versions WHERE policy_sha256 = $1", [file.sha256]
        ).fetchall()
        if known == [(0,)]:
            connection.execute(
                "INSERT INTO policy.versions VALUES ($1, $2, $3, $4)",
                [file.sha256, file.content, now, file.policy.margin_alarm_percent],
            )
            _insert_rules(connection, file)
        connection.execute(
            "INSERT INTO policy.uses SELECT max(use_no) + 1, $1, $2 FROM policy.uses", [file.sha256, now]
        )
        rerate_open_months(connection)
    return True


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


def _insert_rules(connection: duckdb.DuckDBPyConnection, file: PolicyFile) -> None:
    margins = [(file.sha256, *_margin(margin)) for margin in file.policy.margins]
    budgets = [(file.sha256, *_budget(budget)) for budget in file.policy.budgets]
    thresholds = [(file.sha256, budget.id, percent) for budget in file.policy.budgets for percent in budget.thresholds]
    for table, rows in (("margins", margins), ("budgets", budgets), ("budget_thresholds", thresholds)):
        appender = connection.appender(f"policy.{table}")
        appender.append_rows(rows)
        appender.flush()


def _margin(margin: Margin) -> tuple[object, ...]:
    patterns = [text for name in _MATCHED for text in _both_forms(getattr(margin, name))]
    return (margin.id, margin.factor, margin.precedence, margin.valid_from, margin.valid_until, *patterns)


def _budget(budget: Budget) -> tuple[object, ...]:
    days = (budget.valid_from, budget.valid_until)
    return (budget.id, budget.usd, budget.precedence, *days, *_both_forms(budget.tenant), budget.push)


def _both_forms(pattern: str | None) -> tuple[str | None, str | None]:
    """A pattern as written, and for LIKE."""
    return (pattern, None if pattern is None else to_like(pattern))
