"""The analysts' files: verified copies of what the working file holds. Readers never meet a lock."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import duckdb

from tokenboard_etl.errors import WarehouseError
from tokenboard_etl.warehouse.blocks import copy_blocks
from tokenboard_etl.warehouse.catalog import comment_on
from tokenboard_etl.warehouse.connection import configure, driver_errors
from tokenboard_etl.warehouse.publications import put_in_place
from tokenboard_etl.warehouse.sql_files import names_in, quoted, read_sql

log = logging.getLogger("tokenboard.publish")

PUBLISHED_SCHEMAS = ("billing", "usage", "credits", "ops", "registry")
INTRADAY = "usage.intraday"
"""Replaced every few minutes, so it has a small file of its own and is not part of the large one."""

VIEWS = "views"
"""Schema of the views that only the published file has: sql/views, over its tables."""

_PERSONAL = frozenset({"ops.operations", "ops.operation_files", "ops.operation_rejects"})
"""What they are about are persons; what operations cost is in billing.operation_costs."""

_FOR_PROOFS = "billing.kept_states"
"""Copies of tables, among them some that are not published."""

_NOT_PUBLISHED = frozenset({"ops.dirty_months", "ops.clock", INTRADAY, _FOR_PROOFS, *_PERSONAL})


def publish(connection: duckdb.DuckDBPyConnection, working: Path, published: Path) -> int:
    """Replaces the published file by what the working file holds now; returns its size in bytes.

    The connection must be the writer's and outside a transaction: the file is copied after a checkpoint, while
    the writer's lock keeps everybody else out.
    """
    connection.execute("CHECKPOINT")

    def copy(path: Path) -> None:
        copy_blocks(connection, working, path, _is_published)
        _strip(path)

    return _publish(connection, published, copy)


def publish_table(connection: duckdb.DuckDBPyConnection, table: str, published: Path) -> int:
    """Replaces a published file by one that holds one model's table alone; returns its size in bytes.

    The connection must be outside a transaction.
    """

    def copy(path: Path) -> None:
        with driver_errors(path):
            connection.execute("ATTACH $1 AS fresh", [str(path)])
            try:
                connection.execute(f"CREATE SCHEMA fresh.{quoted(read_sql(table).schema)}")
                connection.execute(f"CREATE TABLE fresh.{quoted(table)} AS FROM {quoted(table)}")
            finally:
                connection.execute("DETACH fresh")
            fresh = duckdb.connect(path)
            try:
                comment_on(fresh, read_sql(table), "TABLE")
                fresh.execute("CHECKPOINT")
            finally:
                fresh.close()

    return _publish(connection, published, copy)


def _publish(connection: duckdb.DuckDBPyConnection, published: Path, copy: Callable[[Path], None]) -> int:
    def write(path: Path) -> None:
        copy(path)
        _verify(connection, path)

    put_in_place(published, write)
    size = published.stat().st_size
    log.info("published %s (%.1f MB)", published, size / 1e6, extra={"bytes": size})
    return size


def _is_published(schema: str, table: str) -> bool:
    return schema in PUBLISHED_SCHEMAS and f"{schema}.{table}" not in _NOT_PUBLISHED


def _strip(path: Path) -> None:
    """Drops what is not for analysts from the copy, where it has no bytes, and adds the views."""
    with driver_errors(path):
        copy = duckdb.connect(path)
        try:
            configure(copy)
            for schema, table in copy.execute(
                "SELECT schema_name, view_name FROM duckdb_views() WHERE NOT internal"
            ).fetchall():
                copy.execute(f"DROP VIEW {quoted(f'{schema}.{table}')}")
            for schema, table in copy.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall():
                if not _is_published(schema, table):
                    copy.execute(f"DROP TABLE {quoted(f'{schema}.{table}')}")
            for schema in ("raw", "staging", "policy"):
                copy.execute(f"DROP SCHEMA IF EXISTS {schema}")
            copy.execute(f"CREATE SCHEMA {VIEWS}")
            for view in map(read_sql, names_in(VIEWS)):
                copy.execute(f"CREATE VIEW {quoted(view.name)} AS {view.query}")
                comment_on(copy, view, "VIEW")
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
