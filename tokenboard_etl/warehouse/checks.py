"""Identities, not samples: a check is a SELECT of what must not be there.

Besides the files in sql/checks, every model that is a table is checked to be unique by its key; that blocks unless its
header has `severity: warning`. A view is not asked once more: what it has twice stands twice in a table that is made of
it, or in a sum that is held against another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import duckdb

from tokenboard_etl.errors import CheckFailed
from tokenboard_etl.redaction import one_line
from tokenboard_etl.warehouse.sql_files import SqlFile, models_in_order, names_in, quoted, read_sql

ROWS_SHOWN = 3


@dataclass(frozen=True)
class Check:
    """`table` is what the check is about. A blocking finding stops publication, an alarm and a warning do not."""

    name: str
    table: str
    title: str
    severity: Literal["blocking", "alarm", "warning"]
    query: str

    @property
    def blocking(self) -> bool:
        return self.severity == "blocking"


@dataclass(frozen=True)
class Finding:
    """The outcome of one check: how many rows violate it, and the first few, readable."""

    check: Check
    violations: int
    examples: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return self.violations == 0

    def __str__(self) -> str:
        return f"{self.check.name} ({self.check.table}): {self.violations} row(s), first: {'; '.join(self.examples)}"


@cache
def all_checks() -> tuple[Check, ...]:
    """Every check there is, by name."""
    files = [read_sql(name) for name in names_in("checks")]
    written = [Check(file.table, file.tags["asset"], file.title, _severity(file), file.query) for file in files]
    keyed = [
        Check(
            f"{model.table}_key_is_unique",
            model.name,
            f"{model.name} has one row per {', '.join(model.key)}.",
            _severity(model),
            _duplicates(model),
        )
        for model in models_in_order()
        if not model.is_view
    ]
    return tuple(sorted(written + keyed, key=lambda check: check.name))


def _severity(file: SqlFile) -> Literal["blocking", "alarm", "warning"]:
    match severity := file.tags.get("severity", "blocking"):
        case "blocking" | "alarm" | "warning":
            return severity
    raise ValueError(f"{file.name}: severity {severity} is none of blocking, alarm, warning")


def run_checks(connection: duckdb.DuckDBPyConnection, checks: Sequence[Check] | None = None) -> list[Finding]:
    """Runs the given checks (all by default)."""
    return [_run(connection, check) for check in (all_checks() if checks is None else checks)]


def refuse_violations(findings: Sequence[Finding]) -> None:
    """Raises CheckFailed if a blocking check found anything."""
    if failed := blocking_failures(findings):
        raise violations_found(failed)


def blocking_failures(findings: Sequence[Finding]) -> list[str]:
    """What the blocking checks found, readable."""
    return [str(finding) for finding in findings if not finding.passed and finding.check.blocking]


def violations_found(findings: Sequence[str]) -> CheckFailed:
    """The error for blocking checks that found something, told in `findings`."""
    return CheckFailed(
        f"{len(findings)} blocking check(s) failed, so nothing was published and the published file is the one of "
        f"before: {' | '.join(findings)}. Days whose figures contradict each other can be read again with "
        "`tokenboard nightly --from DATE --to DATE`."
    )


def _duplicates(model: SqlFile) -> str:
    """Keys that stand there twice. Grouped are hashes, a third of the memory and half the time; only rows whose hash
    stands there twice are compared themselves.
    """
    keys, table = ", ".join(model.key), quoted(model.name)
    return f"""
        SELECT {keys}, count(*) AS rows FROM {table}
        WHERE hash({keys}) IN (SELECT hash({keys}) FROM {table} GROUP BY 1 HAVING count(*) > 1)
        GROUP BY {keys} HAVING count(*) > 1
        """  # noqa: S608 - our own files


def _run(connection: duckdb.DuckDBPyConnection, check: Check) -> Finding:
    relation = f"({check.query})"
    count = connection.execute(f"SELECT count(*) FROM {relation}").fetchall()[0][0]  # noqa: S608 - our own files
    if not count:
        return Finding(check, 0, ())
    result = connection.execute(f"SELECT * FROM {relation} LIMIT {ROWS_SHOWN}")  # noqa: S608 - our own files
    names = [column[0] for column in result.description]
    rows = tuple(
        ", ".join(f"{name}={one_line(str(value))}" for name, value in zip(names, row, strict=True))
        for row in result.fetchall()
    )
    return Finding(check, int(count), rows)
