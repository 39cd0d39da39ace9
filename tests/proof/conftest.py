"""The months of docs/worked-example.md, run through the real commands' jobs once, and copies of that home."""

from __future__ import annotations

import fcntl
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import pytest

from assets.run import run_month_close, run_nightly
from proof.figures import costs_in, feed, operations_csv, tables, tenants_csv
from tokenboard_etl.periods import Month, Window
from tokenboard_etl.providers.sandbox.server import RunningSandbox, running_sandbox
from tokenboard_etl.settings import Settings, load_settings
from tokenboard_etl.tenants.csv_import import import_tenants
from tokenboard_etl.warehouse.connection import open_warehouse

DOCUMENT = (Path(__file__).parents[2] / "docs" / "worked-example.md").read_text()
STATED = tables(DOCUMENT)
MAY, JUNE = Month(2026, 5), Month(2026, 6)


@dataclass(frozen=True)
class Worked:
    """A home in which the example's months are closed, and the providers it was read from."""

    home: Path
    policy: Path
    tenants: Path
    sandbox: RunningSandbox

    def at(self, now: datetime, **more: str) -> Settings:
        self.sandbox.set_clock(now)
        known = {"TOKENBOARD_HOME": str(self.home), "TOKENBOARD_POLICY": str(self.policy), **more}
        return load_settings(**self.sandbox.env(), TOKENBOARD_NOW=now.isoformat(), **known)


def night(month: int, day: int) -> datetime:
    return datetime(2026, month, day, 2, tzinfo=UTC)


@pytest.fixture(scope="session")
def worked(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[Worked]:
    """That home, made once for all workers of a run, and providers of this worker's own. Tests only read it."""
    shared = tmp_path_factory.getbasetemp() if worker_id == "master" else tmp_path_factory.getbasetemp().parent
    folder = shared / "worked"
    with running_sandbox(now=night(6, 10), analytics_per_minute=None) as sandbox:
        accounts = feed(sandbox.world, costs_in(DOCUMENT))
        made = Worked(folder / "home", folder / "policy.yaml", folder / "tenants.csv", sandbox)
        with (shared / "worked.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / "complete").exists():
                folder.mkdir()
                (text,) = re.findall(r"```yaml\n(.*?)```", DOCUMENT, re.DOTALL)
                made.policy.write_text(text)
                tenants_csv(made.tenants, STATED["Tenants"], accounts)
                _live_through(made)
                (folder / "complete").touch()
        yield made


def _live_through(made: Worked) -> None:
    first, told = made.at(night(6, 10)), STATED["What an application did"]
    operations_csv(first.operations_inbox_path / "log.csv", told[:-1])
    with open_warehouse(first.warehouse_path) as warehouse:
        import_tenants(warehouse, made.tenants, first.now)
    with dg.DagsterInstance.ephemeral() as instance:
        run_nightly(first, MAY.window, instance)
        run_month_close(first, MAY, instance)
        operations_csv(first.operations_inbox_path / "late.csv", told[-1:])
        run_nightly(made.at(night(6, 20)), Window(MAY.first, date(2026, 6, 20)), instance)
        last = made.at(night(7, 10))
        run_nightly(last, JUNE.window, instance)
        run_month_close(last, JUNE, instance)


@pytest.fixture
def copied(worked: Worked, tmp_path: Path) -> Callable[[], Worked]:
    """A copy of that home, to do something to."""

    def copy() -> Worked:
        shutil.copytree(worked.home, tmp_path / "home")
        shutil.copy(worked.policy, tmp_path / "policy.yaml")
        return replace(worked, home=tmp_path / "home", policy=tmp_path / "policy.yaml")

    return copy
