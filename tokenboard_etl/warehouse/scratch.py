"""Warehouses to try things in: a copy, or an empty one. The original is only read."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from tokenboard_etl.errors import WrongUse
from tokenboard_etl.files import storage_errors
from tokenboard_etl.warehouse.connection import WAIT_SECONDS, open_warehouse, writer_lock

_PREFIX = ".scratch-"


@contextmanager
def scratch_warehouse(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A copy beside the warehouse, open for writing and gone afterwards; no byte of the original changes.

    It is copied while no other process writes. Raises WrongUse if there is no warehouse yet.
    """
    if not path.exists():
        raise WrongUse(f"There is no warehouse at {path} yet; `tokenboard nightly` makes one.")
    with _folder_beside(path) as name:
        copy = Path(name) / path.name
        with writer_lock(path.with_suffix(".lock"), WAIT_SECONDS, time.sleep), storage_errors(copy):
            for leftover in path.parent.glob(f"{_PREFIX}*"):  # of a process that was killed
                if leftover != copy.parent:
                    shutil.rmtree(leftover, ignore_errors=True)
            shutil.copyfile(path, copy)
            journal = path.with_name(f"{path.name}.wal")
            if journal.exists():
                shutil.copyfile(journal, copy.with_name(journal.name))
        with open_warehouse(copy) as connection:
            yield connection


@contextmanager
def empty_warehouse(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse with nothing in it, beside the real one, open for writing and gone afterwards."""
    with _folder_beside(path) as name, open_warehouse(Path(name) / path.name) as connection:
        yield connection


def _folder_beside(path: Path) -> tempfile.TemporaryDirectory[str]:
    with storage_errors(path):
        return tempfile.TemporaryDirectory(dir=path.parent, prefix=_PREFIX)
