"""What the tables look like, known without a warehouse: an empty one is built in memory."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

import duckdb

from tokenboard_etl.warehouse.connection import configure
from tokenboard_etl.warehouse.migrations import migrate
from tokenboard_etl.warehouse.models import build_models


@dataclass(frozen=True)
class Column:
    """A column's name, DuckDB type and meaning (empty in `raw`, which mirrors the provider)."""

    name: str
    type: str
    comment: str


@dataclass(frozen=True)
class Table:
    """A table or view and its meaning."""

    name: str
    comment: str
    columns: tuple[Column, ...]


@cache
def catalog() -> dict[str, Table]:
    """Every table and view by schema.table."""
    connection = duckdb.connect()
    try:
        configure(connection)
        migrate(connection)
        build_models(connection, datetime(2024, 1, 1, tzinfo=UTC), settle_days=4)
        return read_catalog(connection)
    finally:
        connection.close()


def read_catalog(connection: duckdb.DuckDBPyConnection) -> dict[str, Table]:
    """The tables and views of an open database."""
    columns: dict[str, list[Column]] = {}
    for schema, table, name, kind, comment in connection.execute(
        """
        SELECT schema_name, table_name, column_name, data_type, coalesce(comment, '')
        FROM duckdb_columns() WHERE NOT internal ORDER BY schema_name, table_name, column_index
        """
    ).fetchall():
        columns.setdefault(f"{schema}.{table}", []).append(Column(name, kind, comment))
    comments = dict(
        connection.execute(
            """
            SELECT schema_name || '.' || table_name, coalesce(comment, '') FROM duckdb_tables() WHERE NOT internal
            UNION ALL
            SELECT schema_name || '.' || view_name, coalesce(comment, '') FROM duckdb_views() WHERE NOT internal
            """
        ).fetchall()
    )
    return {name: Table(name, comments.get(name, ""), tuple(found)) for name, found in columns.items()}
