"""What speaks against closing a month, in sentences."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

import duckdb

from tokenboard_etl.errors import CheckFailed, WrongUse
from tokenboard_etl.periods import FIRST_DAY, Month, utc_day

ACCEPT = "To close it all the same, give --accept-provisional REASON."


def refuse_early_close(month: Month, now: datetime, waiting_days: int, accepted_reason: str | None) -> None:
    """Raises WrongUse for a month that is not over, CheckFailed within the waiting days unless a reason is given."""
    refuse_open_month(month, now)
    if (early := waiting_time_left(month, now, waiting_days)) and not accepted_reason:
        raise CheckFailed(f"{month} cannot be closed: {early} {ACCEPT}")


def refuse_open_month(month: Month, now: datetime) -> None:
    """Raises WrongUse for a month that is not over, or from before this system's first day."""
    refuse_future_month(month, now)
    if month.window.end > utc_day(now):
        raise WrongUse(_not_over(month))


def refuse_future_month(month: Month, now: datetime) -> None:
    """Raises WrongUse for a month that has not begun, or from before this system's first day."""
    if month.first < FIRST_DAY:
        raise WrongUse(f"{month} is before {FIRST_DAY}, where this system begins.")
    if month.first > utc_day(now):
        raise WrongUse(_not_over(month))


def _not_over(month: Month) -> str:
    return f"{month} is not over; it can be closed from {month.window.end} on."


def reasons_to_wait(
    connection: duckdb.DuckDBPyConnection,
    month: Month,
    now: datetime,
    gating: Collection[tuple[str, str]],
    waiting_days: int,
) -> list[str]:
    """Why a month should not be closed yet, one sentence each."""
    if month.window.end > utc_day(now):
        return [_not_over(month)]
    reasons = []
    if early := waiting_time_left(month, now, waiting_days):
        reasons.append(early)
    if unfinished := unfinished_days(connection, month, gating):
        reasons.append(
            f"{len(unfinished)} source day(s) are not final, first {'; '.join(unfinished[:3])}; once they have "
            f"settled, run `tokenboard nightly --from {month.window.start} --to {month.window.last}`."
        )
    return reasons


def waiting_time_left(month: Month, now: datetime, waiting_days: int) -> str | None:
    """The sentence that says so while the policy's waiting days after the month's end have not passed."""
    first_day = month.window.end + timedelta(days=waiting_days)
    if utc_day(now) >= first_day:
        return None
    return f"the policy waits {waiting_days} days after a month's end, until {first_day}."


def unfinished_days(
    connection: duckdb.DuckDBPyConnection, month: Month, gating: Collection[tuple[str, str]] = ()
) -> list[str]:
    """Days of the month that gate closing and are not final, readable; every connection must have every day.

    A configured connection that was never read gates as well: its spend would otherwise never be invoiced.
    """
    rows = connection.execute(
        """
        WITH days AS (
            SELECT CAST(unnest(generate_series($start::DATE, $last::DATE, INTERVAL 1 DAY)) AS DATE) AS usage_date
        ),
        gating AS (
            SELECT connection_id, report FROM ops.source_days WHERE gates_closing
            UNION
            SELECT unnest($connections::VARCHAR[]), unnest($reports::VARCHAR[])
        )
        SELECT gating.connection_id, gating.report, days.usage_date, coalesce(known.state, 'missing')
        FROM gating CROSS JOIN days
        LEFT JOIN ops.source_days AS known
            ON known.connection_id = gating.connection_id
            AND known.report = gating.report
            AND known.usage_date = days.usage_date
        WHERE coalesce(known.state, 'missing') NOT IN ('settled', 'closed')
        ORDER BY 3, 1, 2
        """,
        {
            "start": month.window.start,
            "last": month.window.last,
            "connections": [connection_id for connection_id, _ in gating],
            "reports": [report for _, report in gating],
        },
    ).fetchall()
    if not rows and not gating and not _has_any_source(connection):
        return [f"no provider has been read for {month}"]
    return [f"{connection_id} {report} {day} is {state}" for connection_id, report, day, state in rows]


def refuse_unknown_tenant(connection: duckdb.DuckDBPyConnection, tenant_id: str | None) -> None:
    """Raises WrongUse for a tenant nobody registered."""
    known = connection.execute("SELECT count(*) FROM registry.tenants WHERE tenant_id = $1", [tenant_id]).fetchall()
    if tenant_id is not None and not known[0][0]:
        raise WrongUse(f"There is no tenant {tenant_id!r}; `tokenboard tenants list` shows them.")


def is_closed(connection: duckdb.DuckDBPyConnection, month: Month, tenant_id: str | None) -> bool:
    """Whether the month was invoiced, for all tenants or for this one."""
    rows = connection.execute(
        """
        SELECT count(*) FROM billing.closed_months
        WHERE month = $1 AND (tenant_id IS NULL OR tenant_id = $2)
        """,
        [str(month), tenant_id],
    ).fetchall()
    return bool(rows[0][0])


def _has_any_source(connection: duckdb.DuckDBPyConnection) -> bool:
    return bool(connection.execute("SELECT count(*) FROM ops.source_days WHERE gates_closing").fetchall()[0][0])
