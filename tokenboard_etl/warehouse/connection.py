"""Opens the working file for its single writer.

DuckDB refuses a second process, and Dagster's pools hold only under its daemon, so the writer's lock is an own
`flock` beside the file: the kernel frees it when a process dies, however it dies.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from tokenboard_etl.errors import WarehouseBusy, WarehouseError
from tokenboard_etl.files import FULL, OVER_QUOTA, READ_ONLY, storage_errors, storage_failed
from tokenboard_etl.warehouse.migrations import migrate

log = logging.getLogger("tokenboard.warehouse")

WAIT_SECONDS = 600
RESTORING = ".restoring"
"""A file in a home whose restoring was stopped in the middle: until it is done, nothing there fits together."""

_REFUSALS = {
    "no space left": FULL,
    "out of disk space": FULL,
    "disk quota": OVER_QUOTA,
    "read-only file system": READ_ONLY,
}
"""How DuckDB repeats what the operating system says."""

MAX_THREADS = 4
"""Each thread that reads landings holds a whole page, so memory would grow with the machine."""


@contextmanager
def open_warehouse(
    path: Path,
    *,
    wait_seconds: float = WAIT_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """The working file, locked, migrated and in UTC. Waits for another writer, then raises WarehouseBusy."""
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with writer_lock(path.with_suffix(".lock"), wait_seconds, sleep), driver_errors(path):
        connection = duckdb.connect(path)
        try:
            configure(connection)
            migrate(connection)
            yield connection
        finally:
            connection.close()


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Commits at the end; rolls back on any error and lets it through."""
    connection.begin()
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


@contextmanager
def memory_limit(connection: duckdb.DuckDBPyConnection, limit_bytes: int) -> Iterator[None]:
    """Lets DuckDB keep no more than that; the rest waits on disk. Goes around transactions."""
    connection.execute(f"SET memory_limit = '{limit_bytes // 1024} KiB'")
    try:
        yield
    finally:
        connection.execute("RESET memory_limit")


@contextmanager
def driver_errors(path: Path) -> Iterator[None]:
    """Translates what DuckDB reports about its file; a defect in our SQL stays what it is."""
    try:
        yield
    except duckdb.Error as error:
        text = str(error)
        if reason := next((reason for words, reason in _REFUSALS.items() if words in text.lower()), None):
            raise storage_failed(path, reason) from error
        if isinstance(error, duckdb.IOException):
            raise WarehouseError(f"Cannot use {path}: {text.splitlines()[0]}") from error
        raise


def configure(connection: duckdb.DuckDBPyConnection) -> None:
    """Settings every connection has: UTC, nothing is downloaded or loaded at run time, and no more than MAX_THREADS."""
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET autoinstall_known_extensions = false")
    connection.execute("SET allow_community_extensions = false")
    connection.execute("SET enable_progress_bar = false")
    connection.execute(f"SET threads = {min(MAX_THREADS, os.cpu_count() or 1)}")


@contextmanager
def writer_lock(path: Path, wait_seconds: float, sleep: Callable[[float], None]) -> Iterator[None]:
    """Holds the lock file `path`, which stands beside the .duckdb file of that name; raises WarehouseBusy.

    Raises WarehouseError in a home that is half restored.
    """
    with alone(path, path.with_suffix(".duckdb").name, wait_seconds, sleep):
        if (path.parent / RESTORING).exists():
            raise WarehouseError(
                f"{path.parent} is half restored. Run the same `tokenboard restore` again; until then nothing works."
            )
        yield


@contextmanager
def alone(path: Path, what: str, wait_seconds: float, sleep: Callable[[float], None]) -> Iterator[None]:
    """Holds the lock file `path` on behalf of `what`; says whom it waits for, then raises WarehouseBusy."""
    with storage_errors(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        deadline = time.monotonic() + wait_seconds
        told = False
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            if time.monotonic() >= deadline:
                raise WarehouseBusy(
                    f"Process {holder} has been writing {what} for more than {wait_seconds:.0f} s. "
                    "Wait for it to end, or stop it, and run the same command again."
                )
            if not told:
                log.warning("waiting for process %s, which is writing %s", holder, what)
                told = True
            sleep(0.2)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)
