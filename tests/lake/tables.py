"""A table as a bag of rows, wherever it lies. Decimals compare as numbers, so 128-bit integers do as well."""

from __future__ import annotations

from collections import Counter
from typing import Any

import duckdb

from tokenboard_etl.lake.stored import Edition, Lake
from tokenboard_etl.warehouse.catalog import catalog
from tokenboard_etl.warehouse.connection import configure
from tokenboard_etl.warehouse.sql_files import quoted

Rows = Counter[tuple[Any, ...]]


def columns_of(table: str) -> str:
    return ", ".join(f'"{column.name}"' for column in catalog()[table].columns)


def rows_of(connection: duckdb.DuckDBPyConnection, table: str) -> Rows:
    return _bag(connection.execute(f"SELECT {columns_of(table)} FROM {quoted(table)}").fetchall())


def rows_in(lake: Lake, edition: Edition, table: str) -> Rows:
    """What the files hold themselves, without what the folders' names say."""
    if not edition.rows[table]:
        return Counter()
    with duckdb.connect() as connection:
        configure(connection)
        lake.reach(connection)
        files = f"{lake.folder(edition, table)}/**/*.parquet"
        return _bag(
            connection.execute(
                f"SELECT {columns_of(table)} FROM read_parquet($1, hive_partitioning = false)", [files]
            ).fetchall()
        )


def _bag(rows: list[tuple[Any, ...]]) -> Rows:
    return Counter(tuple(tuple(value) if isinstance(value, list) else value for value in row) for row in rows)
