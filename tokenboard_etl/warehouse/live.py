"""Reads of the running day into raw tables: each replaces the instants it speaks of, and confirms no day.

They last until the real cost of their days has arrived (retention.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from tokenboard_etl.landing import Landing
from tokenboard_etl.warehouse.sql_files import quoted, read_sql

LIVE_REPORTS = ("completions_minutes", "key_readings")

_INSTANTS = {
    "completions_minutes": (
        "minute_at",
        """
        SELECT make_timestamptz(bucket.start_time * 1000000) FROM (
            SELECT unnest(from_json(body, '{"data": [{"start_time": "BIGINT"}]}').data) AS bucket FROM landed
        )
        """,
    ),
    "key_readings": ("read_at", "SELECT received_at FROM landed WHERE path = '/keys'"),
}
"""Per report the column that tells instants apart, and those a landing speaks of, also where it has no row for them."""


@dataclass(frozen=True)
class LiveLoad:
    """A load of the running day, as ops.loads has it."""

    load_id: str
    connection_id: str
    provider: str
    report: str


def replaced_loads(connection: duckdb.DuckDBPyConnection) -> list[LiveLoad]:
    """The loads of the running day all of whose days have their real cost by now."""
    rows = connection.execute(
        """
        WITH arrived AS (
            SELECT DISTINCT connection_id, usage_date FROM ops.load_days WHERE report IN ('costs', 'analytics')
        )
        SELECT live.load_id, live.connection_id, live.provider, live.report
        FROM ops.loads AS live
        JOIN arrived
            ON arrived.connection_id = live.connection_id
            AND arrived.usage_date >= live.window_start
            AND arrived.usage_date < live.window_end
        WHERE list_contains($1, live.report)
        GROUP BY live.load_id, live.connection_id, live.provider, live.report, live.window_start, live.window_end
        HAVING count(*) = live.window_end - live.window_start
        """,
        [list(LIVE_REPORTS)],
    ).fetchall()
    return [LiveLoad(*row) for row in rows]


def replace_instants(connection: duckdb.DuckDBPyConnection, table: str, landing: Landing) -> int:
    """Replaces the instants a landing, whose pages are exposed, speaks of by what it says; returns the rows written."""
    target, (column, instants) = quoted(table), _INSTANTS[landing.report]
    connection.execute(
        f"DELETE FROM {target} WHERE connection_id = $1 AND {column} IN ({instants})",  # noqa: S608 - names are ours
        [landing.connection_id],
    )
    return int(
        connection.execute(
            f"""
            INSERT INTO {target} BY NAME
            SELECT $1 AS connection_id, $2 AS load_id, * FROM ({read_sql(table).query})
            """,  # noqa: S608 - names and files are ours
            [landing.connection_id, landing.load_id],
        ).fetchall()[0][0]
    )
