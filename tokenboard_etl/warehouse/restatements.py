"""What changed against the load before: recorded value by value, and noticed where it looks like a loss.

Works inside the load's transaction, while the raw table holds both: what was known, and the new rows, which are the
view `incoming`.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta

import duckdb

from tokenboard_etl.landing import Landing
from tokenboard_etl.warehouse.sql_files import names_in, quoted, read_sql

LARGEST_LOSS_PERCENT = 20
"""A settled window that loses more of its money than this is not believed without a person's word."""


def is_restated(table: str) -> bool:
    """Whether a raw table holds the cost figures that invoices are made from."""
    return _projection(table) in names_in("restated")


def record_restatements(
    connection: duckdb.DuckDBPyConnection, table: str, landing: Landing, days: Collection[date]
) -> int:
    """Writes every value that is new, changed or gone on days that were loaded before; returns how many."""
    known = _days_loaded_before(connection, landing, days)
    if not known:
        return 0
    result = connection.execute(
        f"""
        INSERT INTO billing.restatements
        WITH {_before_and_after(table)},
        pairs AS (
            SELECT
                coalesce(was.usage_date, now.usage_date) AS usage_date,
                coalesce(was.account_id, now.account_id) AS account_id,
                coalesce(was.api_key_id, now.api_key_id) AS api_key_id,
                coalesce(was.line_item, now.line_item) AS line_item,
                was.cost_usd AS previous_usd,
                now.cost_usd AS current_usd
            FROM was FULL OUTER JOIN now
                ON was.usage_date = now.usage_date AND was.account_id = now.account_id
                AND was.api_key_id = now.api_key_id AND was.line_item = now.line_item
        )
        SELECT usage_date, $provider, $connection, account_id, api_key_id, line_item, previous_usd, current_usd,
            coalesce(current_usd, 0) - coalesce(previous_usd, 0), $load, $seen
        FROM pairs
        WHERE previous_usd IS DISTINCT FROM current_usd
        """,  # noqa: S608 - names and files are ours
        {
            "connection": landing.connection_id,
            "days": known,
            "provider": landing.provider,
            "load": landing.load_id,
            "seen": landing.started_at,
        },
    )
    return int(result.fetchall()[0][0])


def find_collapse(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    landing: Landing,
    days: Collection[date],
    settle_time: timedelta,
) -> str | None:
    """Says what happened if settled days lost more than a fifth of their money, or one of them became empty."""
    settled = _days_loaded_before(connection, landing, days, settle_time)
    if not settled:
        return None
    rows = connection.execute(
        f"""
        WITH {_before_and_after(table)},
        settled AS (SELECT unnest($days::DATE[]) AS usage_date)
        SELECT settled.usage_date,
            (SELECT coalesce(sum(cost_usd), 0) FROM was WHERE was.usage_date = settled.usage_date),
            (SELECT coalesce(sum(cost_usd), 0) FROM now WHERE now.usage_date = settled.usage_date),
            (SELECT count(*) FROM now WHERE now.usage_date = settled.usage_date)
        FROM settled ORDER BY 1
        """,  # noqa: S608 - names and files are ours
        {"connection": landing.connection_id, "days": settled, "load": landing.load_id},
    ).fetchall()
    before, after = sum(row[1] for row in rows), sum(row[2] for row in rows)
    emptied = [day for day, was, _, count in rows if was > 0 and not count]
    lost = before > 0 and after * 100 < before * (100 - LARGEST_LOSS_PERCENT)
    if not emptied and not lost:
        return None
    what = f"{emptied[0]} became empty" if emptied else f"settled days fell from {before:f} to {after:f} USD"
    return (
        f"{landing.connection_id} {landing.report} ({landing.window}): {what}. The old figures stay. If the provider "
        "really took this back, run the same command with --accept-collapse REASON."
    )


def _days_loaded_before(
    connection: duckdb.DuckDBPyConnection,
    landing: Landing,
    days: Collection[date],
    settle_time: timedelta | None = None,
) -> list[date]:
    """Those of `days` that were read before; with `settle_time`, when they had settled. The others have no old values
    to compare with, which spares a first load the work.
    """
    found = connection.execute(
        """
        SELECT DISTINCT usage_date FROM ops.load_days
        WHERE connection_id = $connection AND report = $report AND list_contains($days::DATE[], usage_date)
            AND ($settle IS NULL OR started_at >= CAST(usage_date + 1 AS TIMESTAMPTZ) + $settle)
        """,
        {
            "connection": landing.connection_id,
            "report": landing.report,
            "days": list(days),
            "settle": settle_time,
        },
    ).fetchall()
    return sorted(day for (day,) in found)


def _projection(table: str) -> str:
    return f"restated.{table.partition('.')[2]}"


def _before_and_after(table: str) -> str:
    """CTEs `was` and `now`: the values of the raw table and of `incoming`, on the days in question ($days)."""
    query = read_sql(_projection(table)).query
    return f"""
        was AS (
            WITH cost_rows AS (
                SELECT * FROM {quoted(table)}
                WHERE connection_id = $connection AND load_id <> $load AND list_contains($days::DATE[], usage_date)
            )
            SELECT * FROM ({query})
        ),
        now AS (
            WITH cost_rows AS (SELECT * FROM incoming WHERE list_contains($days::DATE[], usage_date))
            SELECT * FROM ({query})
        )"""  # noqa: S608 - names and files are ours
