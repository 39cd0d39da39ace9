"""What the tables look like, known without a warehouse: an empty one is built in memory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import duckdb

from tokenboard_etl.warehouse.connection import configure, transaction
from tokenboard_etl.warehouse.migrations import migrate
from tokenboard_etl.warehouse.sql_files import SqlFile, models_in_order, quoted


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
        with transaction(connection):
            _create_empty(connection)
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


def comment_on(connection: duckdb.DuckDBPyConnection, model: SqlFile, kind: str) -> None:
    """Writes a header's words as the COMMENTs of its TABLE or VIEW."""
    target, about = quoted(model.name), f"{model.title} Grain: {model.tags['grain']}."
    connection.execute(f"COMMENT ON {kind} {target} IS {_literal(about)}")
    for column, text in model.columns.items():
        connection.execute(f'COMMENT ON COLUMN {target}."{column}" IS {_literal(text)}')


def _literal(text: str) -> str:
    """COMMENT takes no parameters; the text is from our own files."""
    return "'" + text.replace("'", "''") + "'"


def _create_empty(connection: duckdb.DuckDBPyConnection) -> None:
    """Every model, without a row."""
    for model in models_in_order():
        if model.is_view:
            connection.execute(f"CREATE VIEW {quoted(model.name)} AS {model.query}")
            comment_on(connection, model, "VIEW")
        else:
            connection.execute(f"CREATE TABLE {quoted(model.name)} AS {model.query} WITH NO DATA")
            comment_on(connection, model, "TABLE")
