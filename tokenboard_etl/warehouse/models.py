"""Builds the derived tables: each is one SELECT in a file, built month by month in one transaction.

Staging is views, as far as it is cheap to ask twice; everything after it is tables.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime

import duckdb

from tokenboard_etl.periods import Month, Window
from tokenboard_etl.warehouse.catalog import catalog, comment_on
from tokenboard_etl.warehouse.connection import memory_limit, transaction
from tokenboard_etl.warehouse.sql_files import SqlFile, models_in_order, quoted, sources_of

log = logging.getLogger("tokenboard.models")

ROWS_AT_ONCE = 10_000_000
"""Where the providers sent more rows, tables of days are built some days at a time. Many parts take longer: a table
that is written in parts is written once more when they are committed."""

MEMORY_BYTES = 512 * 1024 * 1024
"""What DuckDB may keep while it builds; the rest waits on disk. 4.5 million rows were built in 400 MB."""

Columns = list[tuple[str, str]]


def build_models(
    connection: duckdb.DuckDBPyConnection, now: datetime, settle_days: int, memory_bytes: int = MEMORY_BYTES
) -> dict[str, int]:
    """Builds every model for the months whose input changed; returns the tables' row counts.

    A table whose columns changed, or that is not there yet, is built whole. All or nothing becomes visible. What cannot
    be built within `memory_bytes` is built without a limit.
    """
    connection.execute("SET preserve_insertion_order = false")  # no table has an order; for one, a core waits
    try:
        try:
            with memory_limit(connection, memory_bytes), transaction(connection):
                return build_within(connection, now, settle_days)
        except duckdb.OutOfMemoryException:
            log.info("the models take more than %d MB; built once more without a limit", memory_bytes // 2**20)
        with transaction(connection):
            return build_within(connection, now, settle_days)
    finally:
        connection.execute("RESET preserve_insertion_order")


def build_within(
    connection: duckdb.DuckDBPyConnection, now: datetime, settle_days: int, *, whole: bool = False
) -> dict[str, int]:
    """The same inside the caller's transaction; `whole` builds every table from nothing."""
    _mark_all_if_settling_changed(connection, settle_days)
    connection.execute("DELETE FROM ops.clock")
    connection.execute("INSERT INTO ops.clock VALUES ($1, $2)", [now, settle_days])
    months = [
        Month.parse(month)
        for (month,) in connection.execute("SELECT DISTINCT month FROM ops.dirty_months ORDER BY 1").fetchall()
    ]
    existing = _columns_of_tables(connection)
    for model in models_in_order():
        _build(connection, model, months, existing, whole=whole)
    connection.execute("DELETE FROM ops.dirty_months")
    return {model.name: row_count(connection, model.name) for model in models_in_order() if model.schema != "staging"}


def build_table(connection: duckdb.DuckDBPyConnection, name: str) -> int:
    """Builds one table that is not built by months, and the views behind it; returns its rows.

    Other tables it reads are taken as they are.
    """
    with transaction(connection):
        return build_table_within(connection, name)


def build_table_within(connection: duckdb.DuckDBPyConnection, name: str) -> int:
    """The same inside the caller's transaction."""
    behind, existing = _behind(name), _columns_of_tables(connection)
    for model in models_in_order():
        if model.name == name or (model.name in behind and model.is_view):
            _build(connection, model, (), existing, whole=False)
    return row_count(connection, name)


def build_with_sources(connection: duckdb.DuckDBPyConnection, *names: str) -> None:
    """Builds tables whole, and before them every model they are made from."""
    wanted = frozenset(names).union(*map(_behind, names))
    with transaction(connection):
        for model in models_in_order():
            if model.name in wanted:
                _build(connection, model, (), {}, whole=True)


def _behind(name: str) -> frozenset[str]:
    """Every model that a model is made from, directly or not."""
    models = {model.name for model in models_in_order()}
    direct = sources_of(name) & models
    return direct.union(*map(_behind, direct))


def _mark_all_if_settling_changed(connection: duckdb.DuckDBPyConnection, settle_days: int) -> None:
    """Another settle time changes the state of days in months that no load touches."""
    connection.execute(
        """
        INSERT INTO ops.dirty_months
        SELECT DISTINCT strftime(usage_date, '%Y-%m')
        FROM ops.load_days CROSS JOIN ops.clock WHERE ops.clock.settle_days <> $1
        """,
        [settle_days],
    )


def row_count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    """Rows of a table."""
    return int(connection.execute(f"SELECT count(*) FROM {quoted(table)}").fetchall()[0][0])  # noqa: S608 - quoted


def _build(
    connection: duckdb.DuckDBPyConnection,
    model: SqlFile,
    months: Sequence[Month],
    existing: Mapping[str, Columns],
    *,
    whole: bool,
) -> None:
    target, query = quoted(model.name), model.query
    if model.is_view:
        connection.execute(f"CREATE OR REPLACE VIEW {target} AS {query}")
        comment_on(connection, model, "VIEW")
        return
    wanted = [(column.name, column.type) for column in catalog()[model.name].columns]
    by_day = model.month_column and dict(wanted)[model.month_column] == "DATE"
    if whole or existing.get(model.name) != wanted:
        days = _days_of_all_loads(connection) if by_day else None
        if days is None:
            connection.execute(f"CREATE OR REPLACE TABLE {target} AS {query}")
        else:
            connection.execute(f"CREATE OR REPLACE TABLE {target} AS SELECT * FROM ({query}) WHERE false")  # noqa: S608 - quoted
            for condition, values in [*_by_days(connection, model, days), _beside(model, days)]:
                connection.execute(f"INSERT INTO {target} BY NAME SELECT * FROM ({query}) WHERE {condition}", values)  # noqa: S608 - quoted
        comment_on(connection, model, "TABLE")
    elif model.month_column is None:
        connection.execute(f"DELETE FROM {target}")  # noqa: S608 - quoted
        connection.execute(f"INSERT INTO {target} BY NAME {query}")
    else:
        for month in months:
            parts = _by_days(connection, model, month.window) if by_day else [_in_month(model, month)]
            for condition, values in parts:
                connection.execute(f"DELETE FROM {target} WHERE {condition}", values)  # noqa: S608 - quoted
                connection.execute(f"INSERT INTO {target} BY NAME SELECT * FROM ({query}) WHERE {condition}", values)  # noqa: S608 - quoted


Condition = tuple[str, Mapping[str, object]]


def _in_month(model: SqlFile, month: Month) -> Condition:
    return f'"{model.month_column}" = $month', {"month": str(month)}


def _by_days(connection: duckdb.DuckDBPyConnection, model: SqlFile, days: Window) -> Iterator[Condition]:
    """Conditions that make up `days` together, each for as many days as bring ROWS_AT_ONCE."""
    rows = dict(
        connection.execute(
            """
            SELECT usage_date, sum(rows) FROM (
                SELECT usage_date, max(rows) AS rows FROM ops.load_days WHERE usage_date >= $1 AND usage_date < $2
                GROUP BY connection_id, report, usage_date
            ) GROUP BY usage_date
            """,
            [days.start, days.end],
        ).fetchall()
    )
    start, gathered = days.start, 0
    for day in days.days():
        if gathered and gathered + rows.get(day, 0) > ROWS_AT_ONCE:
            yield _between(model, start, day)
            start, gathered = day, 0
        gathered += rows.get(day, 0)
    yield _between(model, start, days.end)


def _between(model: SqlFile, start: date, end: date) -> Condition:
    return f'"{model.month_column}" >= $start AND "{model.month_column}" < $end', {"start": start, "end": end}


def _beside(model: SqlFile, days: Window) -> Condition:
    column = f'"{model.month_column}"'
    return f"({column} >= $start AND {column} < $end) IS NOT TRUE", {"start": days.start, "end": days.end}


def _days_of_all_loads(connection: duckdb.DuckDBPyConnection) -> Window | None:
    """From the first to the last day that was loaded; None where one query can build all of it."""
    ((first, last, rows),) = connection.execute(
        "SELECT min(usage_date), max(usage_date), sum(rows) FROM ops.load_days"
    ).fetchall()
    return Window.of_days(first, last) if first and rows > ROWS_AT_ONCE else None


def _columns_of_tables(connection: duckdb.DuckDBPyConnection) -> Mapping[str, Columns]:
    rows = connection.execute(
        "SELECT schema_name || '.' || table_name, column_name, data_type FROM duckdb_columns() ORDER BY 1, column_index"
    ).fetchall()
    found: dict[str, Columns] = {}
    for table, name, kind in rows:
        found.setdefault(table, []).append((name, kind))
    return found
