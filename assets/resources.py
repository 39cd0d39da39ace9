"""What steps need from their surroundings, read when a run starts and never at import."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import dagster as dg
import duckdb

from assets.liveness import alive
from tokenboard_etl.errors import StorageFailed
from tokenboard_etl.logs import during_run, log_to, log_to_stderr
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

    @contextmanager
    def run(self, run_id: str) -> Iterator[None]:
        """A run in this process: it shows that it lives, and every log record names it.

        A run that Dagster's daemon started logs to stderr and TOKENBOARD_HOME/logs; the command line has seen to it
        already. A disk that takes neither is for the first step that writes to say.
        """
        with ExitStack() as stack:
            stack.enter_context(during_run(run_id))
            with suppress(StorageFailed):
                settings = self.settings()
                stack.enter_context(alive(settings.running_path, run_id))
                if self._settings is None:
                    stack.enter_context(log_to_stderr(settings.log_format))
                    stack.enter_context(log_to(settings.logs_path, settings.log_format))
            yield


def for_runs(surroundings: Surroundings) -> dg.ResourceDefinition:
    """The surroundings as a resource that is entered when a run starts and left when it ends, however it does."""

    def entered(context: dg.InitResourceContext) -> Iterator[Surroundings]:
        with surroundings.run(context.run.run_id if context.run else ""):
            yield surroundings

    return dg.ResourceDefinition(contextmanager(entered), description="Settings and the warehouse.")
