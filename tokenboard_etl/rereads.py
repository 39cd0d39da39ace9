"""Which days have to be read once more before they can be trusted, and why. Nothing is read here."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import date, datetime, timedelta

import duckdb

from tokenboard_etl.connections import Connection, ours
from tokenboard_etl.errors import TokenboardError
from tokenboard_etl.periods import Month, Window, lookback_window, start_of
from tokenboard_etl.reading.published import open_published
from tokenboard_etl.settings import Settings

log = logging.getLogger("tokenboard.rereads")

GATING_REPORTS = {"openai": "costs", "openrouter": "analytics"}
"""The reports invoices are made from (ops.source_days.gates_closing)."""

READ_TOGETHER = {"openai": ("costs", "costs_total"), "openrouter": ("keys", "analytics", "analytics_total")}
"""A gating report with what it is read with and its control total."""

DECIDES_CATEGORIES = {"openai": "completions", "openrouter": "activity_by_key"}
"""The usage that categories, and with them margins and appendices, go by. OpenRouter tells it for 30 days only."""

CATCH_UP_DAYS = 35
"""So far back a night goes on from the nights before it; what is older waits for a person (`tokenboard doctor`)."""

_UNSETTLED = """
    WITH newest AS (
        SELECT connection_id, report, result,
            row_number() OVER (PARTITION BY connection_id, report ORDER BY started_at DESC, load_id DESC) AS age
        FROM ops.loads
    ),
    unavailable AS (SELECT connection_id, report FROM newest WHERE age = 1 AND result = 'unavailable'),
    days AS (
        SELECT connection_id, report, usage_date, state, settled_at, fetchable_until FROM ops.source_days
        WHERE list_contains($connections, connection_id) AND report <> 'activity_by_key'
            AND (connection_id, report) NOT IN (SELECT (connection_id, report) FROM unavailable)
    ),
    unsettled AS (
        SELECT usage_date FROM days WHERE settled_at IS NULL AND state <> 'lost' AND fetchable_until >= $today
        UNION ALL
        SELECT greatest(max(usage_date) + 1, $since) FROM days  -- since the publication
    )
    SELECT min(usage_date) FROM unsettled WHERE usage_date >= $since
    """
"""Left out: reports a key may not read, and the cross-check that accounts with very many keys do without."""


def nightly_days(settings: Settings, today: date) -> Window:
    """The days a night reads: yesterday and the days before it that providers may still restate.

    Where nights before it were missed or failed, it begins at the first day that was not read since it settled, at most
    CATCH_UP_DAYS back. That is known from the published file; one that cannot be read widens nothing.
    """
    usual = lookback_window(today, settings.lookback_days)
    if not settings.published_path.exists():
        return usual
    since = today - timedelta(days=CATCH_UP_DAYS)
    try:
        known = [connection.connection_id for connection in ours(settings)]
        with open_published(settings.published_path) as published:
            ((first,),) = published.execute(
                _UNSETTLED, {"connections": known, "today": today, "since": since}
            ).fetchall()
    except TokenboardError as error:
        log.warning("which days earlier nights left behind is not known: %s", error)
        return usual
    if first is None or first >= usual.start:
        return usual
    log.info("earlier nights left days behind; this one begins at %s instead of %s", first, usual.start)
    return Window(first, usual.end)


def before_closing(
    warehouse: duckdb.DuckDBPyConnection, connections: Sequence[Connection], month: Month, settings: Settings
) -> list[Connection]:
    """The connections whose month was not read whole after all of it had settled; closing reads them once more.

    Also those of which a day's usage was never read, where the provider still tells it.
    """
    settled, days = start_of(month.window.end) + settings.settle_time, sum(1 for _ in month.window.days())

    def is_stale(connection: Connection) -> bool:
        gating, usage = GATING_REPORTS[connection.provider], DECIDES_CATEGORIES[connection.provider]
        if _days_read_since(warehouse, connection, gating, month, settled) < days:
            return True
        ever = _days_read_since(warehouse, connection, usage, month, start_of(month.first))
        return connection.provider == "openai" and ever < days

    return list(filter(is_stale, connections))


def _days_read_since(
    warehouse: duckdb.DuckDBPyConnection, connection: Connection, report: str, month: Month, instant: datetime
) -> int:
    rows = warehouse.execute(
        """
        SELECT count(DISTINCT usage_date) FROM ops.load_days
        WHERE connection_id = $1 AND report = $2 AND started_at >= $3 AND usage_date >= $4 AND usage_date < $5
        """,
        [
            connection.connection_id,
            report,
            instant,
            month.window.start,
            month.window.end,
        ],
    ).fetchall()
    return int(rows[0][0])


def contradicting_days(warehouse: duckdb.DuckDBPyConnection, connection: Connection, days: Window) -> Window | None:
    """The span of days whose rows and control total disagree: they moved between the two requests.

    The bound is that of sql/checks/control_total_agrees.sql: what rounding of that many rows can explain.
    """
    rows = warehouse.execute(
        """
        WITH newest AS (
            SELECT
                usage_date, report, rows, total_usd,
                row_number() OVER (PARTITION BY report, usage_date ORDER BY started_at DESC, load_id DESC) AS age
            FROM ops.load_days
            WHERE connection_id = $connection AND usage_date >= $start AND usage_date < $end
        ),
        detailed AS (SELECT usage_date, rows, total_usd FROM newest WHERE age = 1 AND report = $report),
        control AS (SELECT usage_date, total_usd FROM newest WHERE age = 1 AND report = $report || '_total')
        SELECT min(usage_date), max(usage_date)
        FROM detailed JOIN control USING (usage_date)
        WHERE abs(detailed.total_usd - control.total_usd)
            > (detailed.rows + 1) * CASE WHEN $report = 'costs' THEN 0.000000000000000001 ELSE 0.000000001 END
        """,
        {
            "connection": connection.connection_id,
            "start": days.start,
            "end": days.end,
            "report": GATING_REPORTS[connection.provider],
        },
    ).fetchall()
    first, last = rows[0]
    return Window.of_days(first, last) if first else None
