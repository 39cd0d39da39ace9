"""The analysts' file: a verified copy, put in place with one rename. Readers never meet a lock."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

import duckdb

from tokenboard_etl.errors import WarehouseError
from tokenboard_etl.files import storage_errors, sync_directory
from tokenboard_etl.warehouse.connection import configure, driver_errors
from tokenboard_etl.warehouse.sql_files import quoted

log = logging.getLogger("tokenboard.publish")

PUBLISHED_SCHEMAS = ("billing", "usage", "credits", "ops", "registry")
_OWN_AFFAIRS = frozenset({"ops.dirty_months", "ops.clock"})


def publish(connection: duckdb.DuckDBPyConnection, working: Path, published: Path) -> int:
    """Replaces the published file by what the working file holds now; returns its size in bytes.

    The connection must be the writer's and outside a transaction: the file is copied after a checkpoint, while
    the writer's lock keeps everybody else out.
    """
    connection.execute("CHECKPOINT")
    beside = published.with_name(f".{published.name}.{os.getpid()}.part")
    with storage_errors(published):
        published.parent.mkdir(parents=True, exist_ok=True)
        for leftover in published.parent.glob(f".{published.name}.*.part*"):
            leftover.unlink()
        try:
            shutil.copyfile(working, beside)
            _strip(beside)
            _verify(connection, beside)
            descriptor = os.open(beside, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            beside.chmod(0o444)
            beside.replace(published)
        finally:
            beside.unlink(missing_ok=True)
        sync_directory(published.parent)
    size = published.stat().st_size
    log.info("published %s (%.1f MB)", published, size / 1e6)
    return size


def _strip(path: Path) -> None:
    """Drops what is not for analysts from the copy."""
    with driver_errors(path):
        copy = duckdb.connect(path)
        try:
            configure(copy)
            for schema, table in copy.execute(
                "SELECT schema_name, view_name FROM duckdb_views() WHERE NOT internal"
            ).fetchall():
                copy.execute(f"DROP VIEW {quoted(f'{schema}.{table}')}")
            for schema, table in copy.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall():
                if schema not in PUBLISHED_SCHEMAS or f"{schema}.{table}" in _OWN_AFFAIRS:
                    copy.execute(f"DROP TABLE {quoted(f'{schema}.{table}')}")
            for schema in ("raw", "staging", "policy"):
                copy.execute(f"DROP SCHEMA IF EXISTS {schema}")
            copy.execute("CHECKPOINT")
        finally:
            copy.close()


def _verify(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """The copy opens read-only and has the row counts of the working file."""
    with driver_errors(path):
        copy = duckdb.connect(path, read_only=True)
        try:
            tables = copy.execute("SELECT schema_name || '.' || table_name FROM duckdb_tables()").fetchall()
            for (table,) in tables:
                count = f"SELECT count(*) FROM {quoted(table)}"  # noqa: S608 - quoted
                if copy.execute(count).fetchall() != connection.execute(count).fetchall():
                    raise WarehouseError(f"The copy of {table} differs from the original; nothing was published.")
        finally:
            copy.close()
