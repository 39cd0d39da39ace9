"""A month against the providers: their totals, the tenants', what is unallocated, restated, and what prices say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import duckdb

from tokenboard_etl.periods import Month

SHOWN_RESTATEMENTS = 200
"""Values that changed, the largest changes first; all of them are in billing.restatements."""


@dataclass(frozen=True)
class DayTotal:
    """A day of one connection, US dollars. `control_usd` is None where no second request was made or it is not read.

    `difference_usd` is provider - tenants - unallocated: anything but 0 would have stopped publication.
    """

    usage_date: date
    provider: str
    connection_id: str
    provider_usd: Decimal
    tenants_usd: Decimal
    unallocated_usd: Decimal
    difference_usd: Decimal
    control_usd: Decimal | None
    state: str | None


@dataclass(frozen=True)
class ConnectionTotal:
    """The same of the whole month."""

    provider: str
    connection_id: str
    provider_usd: Decimal
    tenants_usd: Decimal
    unallocated_usd: Decimal
    difference_usd: Decimal
    days: int
    final_days: int


@dataclass(frozen=True)
class Restated:
    """A value a provider changed after it had been loaded; a side that was not there is None."""

    usage_date: date
    provider: str
    account_id: str
    account_name: str | None
    line_item: str
    previous_usd: Decimal | None
    current_usd: Decimal | None
    delta_usd: Decimal
    seen_at: datetime


@dataclass(frozen=True)
class RestatedSum:
    """What changed of a connection's days in the month, in all."""

    provider: str
    connection_id: str
    values: int
    days: int
    delta_usd: Decimal


@dataclass(frozen=True)
class Variance:
    """A model's bill against usage x price; None where something of it has no price or no tokens."""

    connection_id: str
    model: str
    days: int
    cost_tokens: Decimal | None
    usage_tokens: Decimal | None
    cost_usd: Decimal | None
    estimated_usd: Decimal | None
    difference_usd: Decimal | None
    verdict: str


@dataclass(frozen=True)
class Reconciliation:
    month: Month
    connections: Sequence[ConnectionTotal]
    days: Sequence[DayTotal]
    restated: Sequence[RestatedSum]
    restatements: Sequence[Restated]
    variances: Sequence[Variance]


def reconciliation(connection: duckdb.DuckDBPyConnection, month: Month) -> Reconciliation:
    """The month's figures from an open published file."""
    return Reconciliation(
        month,
        _connections(connection, month),
        _days(connection, month),
        _restated(connection, month),
        _restatements(connection, month),
        _variances(connection, month),
    )


_DAYS = """
    WITH days AS (
        SELECT
            days.usage_date, days.provider, days.connection_id, provider_cost_usd, allocated_cost_usd,
            unallocated_cost_usd, difference_usd, control_total_usd, sources.state
        FROM billing.reconciliation AS days
        LEFT JOIN ops.source_days AS sources
            ON sources.connection_id = days.connection_id
            AND sources.usage_date = days.usage_date
            AND sources.gates_closing
        WHERE days.usage_date >= $1 AND days.usage_date < $2
    )
"""


def _days(connection: duckdb.DuckDBPyConnection, month: Month) -> list[DayTotal]:
    rows = connection.execute(
        f"{_DAYS} SELECT * FROM days ORDER BY usage_date DESC, provider, connection_id",  # noqa: S608 - our own text
        [month.window.start, month.window.end],
    ).fetchall()
    return [DayTotal(*row) for row in rows]


def _connections(connection: duckdb.DuckDBPyConnection, month: Month) -> list[ConnectionTotal]:
    rows = connection.execute(
        f"""
        {_DAYS}
        SELECT
            provider, connection_id, sum(provider_cost_usd), sum(allocated_cost_usd), sum(unallocated_cost_usd),
            sum(difference_usd), count(*), count(*) FILTER (WHERE state IN ('settled', 'closed'))
        FROM days GROUP BY provider, connection_id ORDER BY provider, connection_id
        """,  # noqa: S608 - our own text
        [month.window.start, month.window.end],
    ).fetchall()
    return [ConnectionTotal(*row) for row in rows]


def _restated(connection: duckdb.DuckDBPyConnection, month: Month) -> list[RestatedSum]:
    rows = connection.execute(
        """
        SELECT provider, connection_id, count(*), count(DISTINCT usage_date), sum(delta_usd)
        FROM billing.restatements WHERE usage_date >= $1 AND usage_date < $2
        GROUP BY provider, connection_id ORDER BY provider, connection_id
        """,
        [month.window.start, month.window.end],
    ).fetchall()
    return [RestatedSum(*row) for row in rows]


def _restatements(connection: duckdb.DuckDBPyConnection, month: Month) -> list[Restated]:
    rows = connection.execute(
        """
        WITH names AS (SELECT provider, account_id, max(name) AS name FROM ops.accounts GROUP BY provider, account_id)
        SELECT
            changes.usage_date, changes.provider, changes.account_id, names.name, changes.line_item,
            changes.previous_usd, changes.current_usd, changes.delta_usd, changes.seen_at
        FROM billing.restatements AS changes
        LEFT JOIN names ON names.provider = changes.provider AND names.account_id = changes.account_id
        WHERE changes.usage_date >= $1 AND changes.usage_date < $2
        ORDER BY
            abs(changes.delta_usd) DESC, changes.usage_date, changes.provider, changes.account_id,
            changes.api_key_id, changes.line_item, changes.seen_at
        LIMIT $3
        """,
        [month.window.start, month.window.end, SHOWN_RESTATEMENTS],
    ).fetchall()
    return [Restated(*row) for row in rows]


def _variances(connection: duckdb.DuckDBPyConnection, month: Month) -> list[Variance]:
    """What is wrong first, and the larger bill before the smaller."""
    rows = connection.execute(
        """
        SELECT
            connection_id, model, days, cost_tokens, usage_tokens, cost_usd, estimated_cost_usd, difference_usd, verdict
        FROM billing.price_variance WHERE month = $1
        ORDER BY verdict = 'agrees', cost_usd DESC NULLS LAST, connection_id, model
        """,
        [str(month)],
    ).fetchall()
    return [Variance(*row) for row in rows]
