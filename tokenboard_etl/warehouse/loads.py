"""What is on record of loads: which there are, the days each brought, and the months whose models they make stale."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date

import duckdb

from tokenboard_etl.landing import Landing
from tokenboard_etl.warehouse.gone_keys import TABLE as ANALYTICS
from tokenboard_etl.warehouse.live import LIVE_REPORTS


def loaded_ids(connection: duckdb.DuckDBPyConnection) -> set[str]:
    """Loads that are in the warehouse already."""
    return {load_id for (load_id,) in connection.execute("SELECT load_id FROM ops.loads").fetchall()}


def loaded_rows(connection: duckdb.DuckDBPyConnection, landing: Landing) -> int | None:
    """How many raw rows a landing brought; None while it is not loaded."""
    found = connection.execute(
        "SELECT rows FROM ops.loads WHERE load_id = $1 AND connection_id = $2 AND report = $3 AND result = 'loaded'",
        [landing.load_id, landing.connection_id, landing.report],
    ).fetchall()
    return int(found[0][0]) if found else None


def began_before_another(connection: duckdb.DuckDBPyConnection, landing: Landing) -> bool:
    """Whether a snapshot of the same day, or any read of the running day, that began later is loaded already.

    Such a read covers all that this one could add; a snapshot counts for its own day alone.
    """
    later = connection.execute(
        """
        SELECT count(*) FROM ops.loads
        WHERE connection_id = $1 AND report = $2 AND started_at > $3 AND result = 'loaded'
            AND ($4 OR CAST(started_at AS DATE) = CAST($3 AS DATE))
        """,
        [landing.connection_id, landing.report, landing.started_at, landing.report in LIVE_REPORTS],
    ).fetchall()
    return bool(later[0][0])


def days_not_read_since(connection: duckdb.DuckDBPyConnection, landing: Landing, days: Collection[date]) -> list[date]:
    """The given days without those a load that began later has already brought."""
    newer = connection.execute(
        """
        SELECT DISTINCT usage_date FROM ops.load_days
        WHERE connection_id = $1 AND report = $2 AND started_at > $3
        """,
        [landing.connection_id, landing.report, landing.started_at],
    ).fetchall()
    return sorted(set(days) - {day for (day,) in newer})


def record_days(connection: duckdb.DuckDBPyConnection, table: str, landing: Landing, days: Sequence[date]) -> None:
    """Notes of each day how many of the rows in `incoming` are its, and what they cost; none is a count of 0."""
    has_cost = connection.execute(
        """
        SELECT count(*) FROM duckdb_columns()
        WHERE schema_name || '.' || table_name = $1 AND column_name = 'cost_usd'
        """,
        [table],
    ).fetchall()[0][0]
    # OpenRouter's rows of the whole account have no key_hash; the keys' rows are parts of them.
    whole = "key_hash IS NULL" if table == ANALYTICS else "true"
    total = f"coalesce(sum(cost_usd) FILTER ({whole}), 0)" if has_cost else "NULL"
    connection.execute(
        f"""
        INSERT INTO ops.load_days
        SELECT $load, $connection, $provider, $report, day, $started, $finished, count(incoming.usage_date),
            {total}
        FROM (SELECT unnest($days::DATE[]) AS day) LEFT JOIN incoming ON incoming.usage_date = day
        GROUP BY day
        """,  # noqa: S608 - names are ours
        {
            "load": landing.load_id,
            "connection": landing.connection_id,
            "provider": landing.provider,
            "report": landing.report,
            "started": landing.started_at,
            "finished": landing.finished_at,
            "days": list(days),
        },
    )


def record_load(
    connection: duckdb.DuckDBPyConnection, landing: Landing, rows: int, result: str, accepted_reason: str | None
) -> None:
    """Notes a landing as loaded, refused, superseded or unavailable."""
    connection.execute(
        """
        INSERT INTO ops.loads
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, NULL, $17)
        """,
        [
            landing.load_id,
            landing.connection_id,
            landing.provider,
            landing.report,
            landing.window.start,
            landing.window.end,
            landing.started_at,
            landing.finished_at,
            len(landing.pages),
            rows,
            sum(page.bytes for page in landing.pages),
            landing.sha256,
            round((landing.finished_at - landing.started_at).total_seconds(), 3),
            result,
            accepted_reason,
            landing.unavailable,
            landing.manifest_sha256,
        ],
    )


def mark_months(connection: duckdb.DuckDBPyConnection, months: Collection[str]) -> None:
    """Notes that the models of these months must be built again."""
    for month in sorted(months):
        connection.execute("INSERT INTO ops.dirty_months VALUES ($1)", [month])
