"""Parquet files that are there whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb

from tokenboard_etl.files import remove_leftovers, storage_errors, sync_directory
from tokenboard_etl.warehouse.connection import driver_errors


def write_parquet(connection: duckdb.DuckDBPyConnection, table: str, path: Path) -> int:
    """Writes a temporary table of the connection, flushed and with one rename; returns its rows."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    with storage_errors(path), driver_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            connection.table(table).write_parquet(str(beside), compression="zstd")
            with beside.open("rb") as file:
                os.fsync(file.fileno())
            beside.replace(path)
            remove_leftovers(path)
        finally:
            beside.unlink(missing_ok=True)
        sync_directory(path.parent)
    return int(connection.table(table).shape[0])
