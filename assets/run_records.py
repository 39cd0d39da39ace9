"""Dagster's records of runs in SQLite, with connections that stay open while a command runs.

Dagster's own storage makes an engine and a connection for each of its statements, some 3,300 in a night. That was a
third of a small night: no statement was ever compiled twice, and SQLite put its journal away after each one. The
files and what is in them are the same, and others may read and write them at the same time; until the command ends
the newest records are in the journals beside them.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.instance.ref import InstanceRef
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME, SqliteEventLogStorage
from dagster._core.storage.runs.sqlite.sqlite_run_storage import SqliteRunStorage
from dagster._core.storage.sql import create_engine
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy.engine import Connection, Engine


def instance_of(folder: Path) -> dg.DagsterInstance:
    """The Dagster instance a folder's dagster.yaml describes; where it records runs in SQLite, by this storage."""
    ref = InstanceRef.from_dir(str(folder))
    dagsters_own = (DagsterSqliteStorage.__module__, DagsterSqliteStorage.__name__)
    if ref.storage_data and (ref.storage_data.module_name, ref.storage_data.class_name) == dagsters_own:
        ours = ConfigurableClassData(__name__, SqliteRecords.__name__, ref.storage_data.config_yaml)
        ref = ref._replace(storage_data=ours)
    return dg.DagsterInstance.from_ref(ref)


class SqliteRecords(DagsterSqliteStorage):
    """Dagster's own storage, in its own folders, but for how runs and events are connected to."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(base_dir, inst_data)
        history = Path(base_dir) / "history"
        self._run_storage, self._event_log_storage = _Runs.from_local(str(history)), _Events(str(history / "runs"))

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "SqliteRecords":
        """What Dagster makes it with."""
        return cls(config_value["base_dir"], inst_data)


def _engine(address: str) -> Engine:
    """Its pool gives a connection to one user at a time and keeps it; nobody waits for another one's."""
    return create_engine(address, max_overflow=-1, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS})


class _Runs(SqliteRunStorage):
    def __init__(self, conn_string: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(conn_string, inst_data)
        self._engine = _engine(conn_string)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        with self._engine.begin() as connection:
            yield connection

    def dispose(self) -> None:
        self._engine.dispose()


class _Events(SqliteEventLogStorage):
    """A file of all assets, and one of each run, of which only the last that was used stays open."""

    def __init__(self, base_dir: str) -> None:
        self._engines: dict[str, Engine] = {}
        super().__init__(base_dir)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            engine = self._open(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.begin() as connection:
                yield connection
            if shard != INDEX_SHARD_NAME:  # who watches a run waits for its file to change
                with suppress(FileNotFoundError):  # another process has forgotten the run
                    os.utime(self.path_for_shard(shard))

    def _open(self, shard: str) -> Engine:
        if shard not in self._engines:
            for other in self._engines.keys() - {INDEX_SHARD_NAME, shard}:
                self._engines.pop(other).dispose()
            self._engines[shard] = _engine(self.conn_string_for_shard(shard))
        return self._engines[shard]

    def dispose(self) -> None:
        super().dispose()
        for engine in self._engines.values():
            engine.dispose()
        self._engines.clear()
