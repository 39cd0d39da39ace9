"""The analysts' files: verified copies, each put in place with one rename. Readers never meet a lock."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from tokenboard_etl.errors import WarehouseError
from tokenboard_etl.files import storage_errors, sync_directory
from tokenboard_etl.warehouse.blocks import copy_blocks
from tokenboard_etl.warehouse.connection import configure, driver_errors
from tokenboard_etl.warehouse.models import comment_on
from tokenboard_etl.warehouse.sql_files import names_in, quoted, read_sql

log = logging.getLogger("tokenboard.publish")

PUBLISHED_SCHEMAS = ("billing", "usage", "credits", "ops", "registry")
INTRADAY = "usage.intraday"
"""Replaced every few minutes, so it has a small file of its own and is not part of the large one."""

VIEWS = "views"
"""Schema of the views that only the published file has: sql/views, over its tables."""

KEPT = 3
"""So many earlier publications stay in the folder `earlier` beside the file, so that yesterday's can be asked again."""

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

    return _put_in_place(connection, published, copy, kept=KEPT)


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

    return _put_in_place(connection, published, copy)


def _put_in_place(
    connection: duckdb.DuckDBPyConnection, published: Path, copy: Callable[[Path], None], *, kept: int = 0
) -> int:
    """Lets `copy` write a file beside the published one, verifies it and renames it over the old one."""
    beside = published.with_name(f".{published.name}.{os.getpid()}.part")
    with storage_errors(published):
        published.parent.mkdir(parents=True, exist_ok=True)
        for leftover in published.parent.glob(f".{published.name}.*.part*"):
            leftover.unlink()
        try:
            copy(beside)
            _verify(connection, beside)
            descriptor = os.open(beside, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            beside.chmod(0o444)
            if kept:
                _keep(published, kept)
            beside.replace(published)
        finally:
            beside.unlink(missing_ok=True)
        sync_directory(published.parent)
    size = published.stat().st_size
    log.info("published %s (%.1f MB)", published, size / 1e6, extra={"bytes": size})
    return size


def _keep(published: Path, kept: int) -> None:
    """Gives the file that is to be replaced a second name, the time it was put in place; drops all but the newest."""
    if not published.exists():
        return
    folder = published.parent / "earlier"
    folder.mkdir(exist_ok=True)
    placed_at = datetime.fromtimestamp(published.stat().st_mtime, UTC)
    name = folder / f"{published.stem}-{placed_at:%Y%m%dT%H%M%S.%f}Z{published.suffix}"
    try:
        name.hardlink_to(published)
    except FileExistsError:  # of a run that was killed right after
        pass
    except OSError as error:  # not every file system has links, and that is no reason not to publish
        log.warning("the earlier publication is not kept: %s", error.strerror)
    for old in sorted(folder.glob(f"{published.stem}-*{published.suffix}"))[:-kept]:
        old.unlink()


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
