"""What steps need from their surroundings, read when a step starts and never at import."""

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from tokenboard_etl.settings import Settings, load_settings
from tokenboard_etl.warehouse.connection import open_warehouse


class Surroundings:
    """Settings and the warehouse. By default the settings are those of the environment at that moment."""

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings

    def settings(self) -> Settings:
        """The settings of this moment."""
        return self._settings or load_settings()

    @contextmanager
    def warehouse(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The working file, as its only writer."""
        with open_warehouse(self.settings().warehouse_path) as connection:
            yield connection
