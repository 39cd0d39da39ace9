"""Where the lake's Parquet lies: editions, each a whole set of tables that never changes, and which is the newest.

    <lake>/inputs/current.json                          names the newest edition and the rows of each table
    <lake>/inputs/20261121T020312Z/raw/openai_costs/partition_month=2026-11/partition_connection=openai/data_0.parquet
    <lake>/models/current.json                          the same of what the models made, and of which inputs
    <lake>/models/20261121T020312Z-duckdb/billing/charges/partition_month=2026-11/partition_connection=openai/...

`inputs` is what was loaded and what is on record; `models` what is derived. An object store cannot rename a folder, so
an edition is written under a name nobody reads yet, and `current.json`, one object, is put in place last.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import duckdb
import fsspec
from fsspec.implementations.local import LocalFileSystem

from tokenboard_etl.errors import ConfigurationError, WrongUse
from tokenboard_etl.files import storage_errors, write_atomically
from tokenboard_etl.warehouse.connection import WAIT_SECONDS, alone

Shelf = Literal["inputs", "models"]

KEPT = 2
"""So many earlier editions stay on each shelf, for who is still reading them."""


@dataclass(frozen=True)
class Edition:
    """One whole set of tables. `rows` has every table, also those without a row, which have no file.

    `engine` made the models; `inputs` is the name of the edition they were made from.
    """

    shelf: Shelf
    name: str
    rows: dict[str, int]
    engine: str | None = None
    inputs: str | None = None

    @classmethod
    def of_inputs(cls) -> Edition:
        """A new one, to be written; names sort as editions were begun."""
        return cls("inputs", _instant(), {})

    @classmethod
    def of_models(cls, inputs: Edition, engine: str) -> Edition:
        """A new one of what an engine makes from these inputs."""
        return cls("models", f"{_instant()}-{engine}", {}, engine, inputs.name)


class Lake:
    """A folder, here or in an object store, that fsspec can write to."""

    def __init__(self, url: str) -> None:
        try:
            self.files, root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise ConfigurationError(f"TOKENBOARD_LAKE_URL cannot be used: {error}.") from None
        self.url = url.rstrip("/")
        self._root = str(root).rstrip("/")
        self._is_local = isinstance(self.files, LocalFileSystem)

    def folder(self, edition: Edition, table: str) -> str:
        """Where a table's files are, as DuckDB and Spark take it."""
        path = f"{self._root}/{edition.shelf}/{edition.name}/{table.replace('.', '/')}"
        return path if self._is_local else str(self.files.unstrip_protocol(path))

    def reach(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Lets a connection read and write here, through fsspec where it is no local folder."""
        known = self.files.protocol
        name = known if isinstance(known, str) else known[0]
        if not self._is_local and not connection.filesystem_is_registered(name):
            connection.register_filesystem(self.files)

    def make_folder(self, edition: Edition, table: str) -> str:
        """The folder, made, for a table to be written."""
        folder = self.folder(edition, table)
        with storage_errors(Path(folder)):
            self.files.makedirs(folder, exist_ok=True)
        return folder

    def newest(self, shelf: Shelf) -> Edition:
        """The edition to read; raises WrongUse where there is none yet."""
        try:
            told: dict[str, Any] = json.loads(self.files.cat_file(self._pointer(shelf)))
        except FileNotFoundError:
            raise WrongUse(f"There is nothing in {self.url} yet; `tokenboard nightly` writes it.") from None
        return Edition(**told)

    def publish(self, edition: Edition, lock: Path) -> bool:
        """Makes a written edition the newest; False, and nothing changes, where newer inputs came in meanwhile.

        `lock` is a file all writers of the lake share: they belong to one TOKENBOARD_HOME.
        """
        with storage_errors(Path(self._root)), alone(lock, "the lake", WAIT_SECONDS, time.sleep):
            if self._is_older(edition):
                return False
            if self._is_local:
                os.sync()
                write_atomically(Path(self._pointer(edition.shelf)), _told(edition))
            else:
                self.files.pipe_file(self._pointer(edition.shelf), _told(edition))
            self._forget(edition)
        return True

    def _pointer(self, shelf: Shelf) -> str:
        return f"{self._root}/{shelf}/current.json"

    def _is_older(self, edition: Edition) -> bool:
        try:
            newest = self.newest(edition.shelf)
        except WrongUse:
            return False
        return (edition.inputs or edition.name) < (newest.inputs or newest.name)

    def _forget(self, newest: Edition) -> None:
        """Removes all but the newest editions, and what a killed process left behind."""
        self.files.invalidate_cache()
        folders = sorted(
            str(each["name"])
            for each in self.files.ls(f"{self._root}/{newest.shelf}", detail=True)
            if each["type"] == "directory"
        )
        before = [folder for folder in folders if folder.rstrip("/").rpartition("/")[2] < newest.name]
        for folder in before[:-KEPT]:
            self.files.rm(folder, recursive=True)


def _instant() -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}Z"


def _told(edition: Edition) -> bytes:
    return (json.dumps(asdict(edition), indent=1) + "\n").encode()
