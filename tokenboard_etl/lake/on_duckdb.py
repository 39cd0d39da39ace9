"""The models on DuckDB over the lake alone: what a night makes, without its warehouse."""

from __future__ import annotations

from pathlib import Path

import duckdb

from tokenboard_etl.lake.keeping import keep_models
from tokenboard_etl.lake.stored import Edition, Lake
from tokenboard_etl.warehouse.catalog import catalog
from tokenboard_etl.warehouse.connection import transaction
from tokenboard_etl.warehouse.models import build_models
from tokenboard_etl.warehouse.scratch import empty_warehouse
from tokenboard_etl.warehouse.sql_files import quoted


def build_on_duckdb(lake: Lake, warehouse_path: Path, lock: Path) -> Edition:
    """Builds every model from the newest inputs, in a scratch file beside the warehouse, and writes them back."""
    inputs = lake.newest("inputs")
    with empty_warehouse(warehouse_path) as connection:
        with transaction(connection):
            for table in inputs.rows:
                fill(connection, lake, inputs, table)
        ((as_of, settle_days),) = connection.execute("SELECT as_of, settle_days FROM ops.clock").fetchall()
        build_models(connection, as_of, settle_days)
        return keep_models(connection, lake, inputs, lock)


def fill(connection: duckdb.DuckDBPyConnection, lake: Lake, edition: Edition, table: str) -> None:
    """Puts what the lake holds of a table in the place of what the connection has of it."""
    connection.execute(f"DELETE FROM {quoted(table)}")  # noqa: S608 - quoted
    if not edition.rows[table]:
        return
    lake.reach(connection)
    folder = lake.folder(edition, table)
    columns = ", ".join(
        f'CAST("{column.name}" AS {column.type}) AS "{column.name}"' for column in catalog()[table].columns
    )
    connection.execute(
        f"INSERT INTO {quoted(table)} BY NAME SELECT {columns} "  # noqa: S608 - quoted, and from our own files
        "FROM read_parquet($files, hive_partitioning = false)",
        {"files": f"{folder}/**/*.parquet"},
    )
