"""What steps need from their surroundings, read when a step starts and never at import."""

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from tokenboard_etl.settings import Settings, load_settings
from tokenboard_etl.warehouse.connection import WAIT_SECONDS, open_warehouse


class Surroundings:
    """Settings and the warehouse. By default the settings are those of the environment at that moment."""

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings

    def settings(self) -> Settings:
        """The settings of this moment."""
        return self._settings or load_settings()

    @contextmanager
    def warehouse(self, *, wait_seconds: int = WAIT_SECONDS) -> Iterator[duckdb.DuckDBPyConnection]:
        """The working file, as its only writer; raises WarehouseBusy where another one is at work for longer."""
        with open_warehouse(self.settings().warehouse_path, wait_seconds=wait_seconds) as connection:
            yield connection
