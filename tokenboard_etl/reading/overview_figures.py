"""What an operator wants to see across tenants: spend and margin, budgets, what is unallocated, freshness, credits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

import duckdb

from tokenboard_etl.money import exact
from tokenboard_etl.periods import ONE_DAY, Month, Window
from tokenboard_etl.reading.published import known_days

TREND_DAYS = 31
CREDIT_DAYS = 7
"""The pace at which credit runs out is that of the snapshots of so many days."""


@dataclass(frozen=True)
class TenantMonth:
    """A tenant's newest month, US dollars at provider figures; `before_billed_usd` is the whole month before.

    One that left and spent nothing in the newest month has no statement of it.
    """

    tenant_id: str
    name: str | None
    cost_usd: Decimal
    billed_usd: Decimal
    margin_usd: Decimal
    margin_percent: Decimal | None
    is_low: bool
    estimated_billed_usd: Decimal
    before_billed_usd: Decimal
    has_statement: bool


@dataclass(frozen=True)
class SpentDay:
    """What a provider charges us for a day: the tenants' part and the unallocated one, and what is estimated."""

    usage_date: date
    provider: str
    tenants_usd: Decimal
    unallocated_usd: Decimal
    estimated_usd: Decimal


@dataclass(frozen=True)
class LooseAccount:
    """Spend of the month on an account nobody is bound to; `account_id` is empty where no account explains it."""

    provider: str
    connection_id: str
    account_id: str
    name: str | None
    first_day: date
    last_day: date
    cost_usd: Decimal


@dataclass(frozen=True)
class BudgetAlert:
    """A budget that reached a threshold, or will at the month's end. Percent."""

    tenant_id: str
    budget_usd: Decimal
    spent_usd: Decimal
    remaining_usd: Decimal
    forecast_usd: Decimal
    reached: int | None
    forecast_reaches: int | None


@dataclass(frozen=True)
class Source:
    """How far a report is read. `fetch_before` is the data-loss horizon: the last day on which what is missing can
    still be fetched.
    """

    provider: str
    connection_id: str
    report: str
    gates_closing: bool
    read_until: date | None
    settled_until: date | None
    missing_days: int
    lost_days: int
    fetch_before: date | None


@dataclass(frozen=True)
class Credit:
    """The newest balance of prepaid credit. `days_left` is None where nothing is used, or nobody would tell."""

    provider: str
    connection_id: str
    snapshot_date: date
    granted_usd: Decimal | None
    used_usd: Decimal | None
    available_usd: Decimal | None
    days_left: int | None
    unavailable_reason: str | None


@dataclass(frozen=True)
class Overview:
    month: Month
    last_day: date
    tenants: Sequence[TenantMonth]
    days: Sequence[SpentDay]
    window: Window
    unallocated: Sequence[LooseAccount]
    budgets: Sequence[BudgetAlert]
    sources: Sequence[Source]
    credits: Sequence[Credit]


def overview(connection: duckdb.DuckDBPyConnection) -> Overview:
    """Of the newest month there are figures about, from an open published file."""
    known = known_days(connection)
    month = Month.of(known.last)
    window = Window.of_days(max(known.start, known.last - (TREND_DAYS - 1) * ONE_DAY), known.last)
    return Overview(
        month,
        known.last,
        _tenants(connection, month),
        _days(connection, window),
        window,
        unallocated_of(connection, month),
        budget_alerts(connection, month),
        _sources(connection),
        _credits(connection),
    )


def _tenants(connection: duckdb.DuckDBPyConnection, month: Month) -> list[TenantMonth]:
    before = month.previous().window
    rows = connection.execute(
        """
        WITH sums AS (
            SELECT
                tenant_id,
                coalesce(sum(cost_usd) FILTER (WHERE usage_date >= $1), 0) AS cost_usd,
                coalesce(sum(billed_usd) FILTER (WHERE usage_date >= $1), 0) AS billed_usd,
                coalesce(sum(margin_usd) FILTER (WHERE usage_date >= $1), 0) AS margin_usd,
                coalesce(sum(estimated_billed_usd) FILTER (WHERE usage_date >= $1), 0) AS estimated_usd,
                coalesce(sum(billed_usd) FILTER (WHERE usage_date < $1), 0) AS before_usd,
                count(*) FILTER (WHERE usage_date >= $1) > 0 AS has_figures
            FROM billing.tenant_days
            WHERE usage_date >= $3 AND usage_date < $2 AND tenant_id <> 'unallocated'
            GROUP BY tenant_id
        )
        SELECT
            sums.tenant_id, tenants.name, sums.cost_usd, sums.billed_usd, sums.margin_usd, margins.margin_percent,
            coalesce(margins.is_low, false), sums.estimated_usd, sums.before_usd,
            tenants.tenant_id IS NOT NULL AND (sums.has_figures OR tenants.status <> 'offboarded')
        FROM sums
        LEFT JOIN registry.tenants AS tenants ON tenants.tenant_id = sums.tenant_id
        LEFT JOIN billing.gross_margins AS margins ON margins.tenant_id = sums.tenant_id AND margins.month = $4
        ORDER BY sums.billed_usd DESC, sums.tenant_id
        """,
        [month.window.start, month.window.end, before.start, str(month)],
    ).fetchall()
    return [TenantMonth(*row) for row in rows]


def _days(connection: duckdb.DuckDBPyConnection, window: Window) -> list[SpentDay]:
    rows = connection.execute(
        """
        SELECT
            usage_date, provider,
            coalesce(sum(cost_usd) FILTER (WHERE tenant_id <> 'unallocated'), 0),
            coalesce(sum(cost_usd) FILTER (WHERE tenant_id = 'unallocated'), 0),
            sum(estimated_cost_usd)
        FROM billing.tenant_days WHERE usage_date >= $1 AND usage_date < $2
        GROUP BY usage_date, provider ORDER BY usage_date, provider
        """,
        [window.start, window.end],
    ).fetchall()
    return [SpentDay(*row) for row in rows]


def unallocated_of(connection: duckdb.DuckDBPyConnection, month: Month) -> list[LooseAccount]:
    """A month's spend on accounts nobody is bound to, the largest first."""
    rows = connection.execute(
        """
        SELECT provider, connection_id, account_id, account_name, first_day, last_day, cost_usd
        FROM views.unallocated_accounts WHERE month = $1
        ORDER BY cost_usd DESC, provider, connection_id, account_id
        """,
        [str(month)],
    ).fetchall()
    return [LooseAccount(*row) for row in rows]


def budget_alerts(connection: duckdb.DuckDBPyConnection, month: Month) -> list[BudgetAlert]:
    """A month's budgets that reached a threshold or will, the most spent first."""
    rows = connection.execute(
        """
        SELECT tenant_id, budget_usd, spent_usd, remaining_usd, forecast_usd, threshold_reached, threshold_forecast
        FROM billing.budgets
        WHERE month = $1 AND (threshold_reached IS NOT NULL OR threshold_forecast IS NOT NULL)
        ORDER BY threshold_reached DESC NULLS LAST, threshold_forecast DESC NULLS LAST, spent_usd DESC, tenant_id
        """,
        [str(month)],
    ).fetchall()
    return [BudgetAlert(*row) for row in rows]


def _sources(connection: duckdb.DuckDBPyConnection) -> list[Source]:
    """What makes bills first, and of those what lacks most."""
    rows = connection.execute(
        """
        SELECT
            provider, connection_id, report, gates_closing, read_until, settled_until, missing_days, lost_days,
            fetch_before
        FROM views.freshness
        ORDER BY NOT gates_closing, fetch_before NULLS LAST, provider, connection_id, report
        """
    ).fetchall()
    return [Source(*row) for row in rows]


def _credits(connection: duckdb.DuckDBPyConnection) -> list[Credit]:
    rows = connection.execute(
        """
        WITH newest AS (
            SELECT connection_id, max(snapshot_date) AS snapshot_date FROM credits.balances GROUP BY connection_id
        ),
        pace AS (
            SELECT balances.connection_id, sum(used_delta_usd) AS used_usd, sum(span_days) AS days
            FROM credits.balances AS balances
            JOIN newest ON newest.connection_id = balances.connection_id
            WHERE balances.snapshot_date > newest.snapshot_date - $1 AND used_delta_usd IS NOT NULL
            GROUP BY balances.connection_id
        )
        SELECT
            balances.provider, balances.connection_id, balances.snapshot_date, granted_usd, balances.used_usd,
            available_usd, pace.used_usd, pace.days, unavailable_reason
        FROM credits.balances AS balances
        JOIN newest
            ON newest.connection_id = balances.connection_id AND newest.snapshot_date = balances.snapshot_date
        LEFT JOIN pace ON pace.connection_id = balances.connection_id
        ORDER BY balances.provider, balances.connection_id
        """,
        [timedelta(days=CREDIT_DAYS)],
    ).fetchall()
    return [
        Credit(provider, name, on, granted, used, available, _days_left(available, pace, days), reason)
        for provider, name, on, granted, used, available, pace, days, reason in rows
    ]


def _days_left(available_usd: Decimal | None, used_usd: Decimal | None, in_days: int | None) -> int | None:
    """Whole days until the credit is used up at the pace of the last ones."""
    if available_usd is None or used_usd is None or not in_days or used_usd <= 0:
        return None
    with exact():
        return max(0, int(available_usd * in_days // used_usd))
