"""Pruning landings: what any figure or invoice rests on stays, and a rebuild still gives equal tables."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from assets.run import run_month_close, run_nightly, run_rebuild
from tokenboard_etl.landing import read_landing
from tokenboard_etl.periods import Month, Window
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.retention import prune
from tokenboard_etl.settings import Settings, load_settings
from tokenboard_etl.tenants.csv_import import import_tenants
from tokenboard_etl.warehouse.connection import open_warehouse

MAY = Month(2026, 5)
NIGHTS = [datetime(2026, 6, day, 2, tzinfo=UTC) for day in (5, 6, 7)]


@pytest.fixture(scope="module")
def made(_shared_sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with May read in three nights, invoiced after the second, restated by the third."""
    folder = tmp_path_factory.mktemp("three")
    csv, home = folder / "tenants.csv", folder / "home"
    csv.write_text(_shared_sandbox.world.tenants_csv())
    with dg.DagsterInstance.ephemeral() as instance:
        for number, now in enumerate(NIGHTS):
            tonight = at(_shared_sandbox, home, now)
            if number == 0:
                with open_warehouse(tonight.warehouse_path) as warehouse:
                    import_tenants(warehouse, csv, now)
            run_nightly(tonight, Window(MAY.first, MAY.next().first), instance)
            if number == 1:
                run_month_close(tonight, MAY, instance, accepted_reason="the test closes early")
    return home


@pytest.fixture
def read_three_times(made: Path, sandbox: RunningSandbox, tmp_path: Path) -> Settings:
    """A copy of that home, in the third night."""
    return at(sandbox, shutil.copytree(made, tmp_path / "home", symlinks=True), NIGHTS[-1])


def at(sandbox: RunningSandbox, home: Path, now: datetime) -> Settings:
    sandbox.set_clock(now)
    return load_settings(**sandbox.env(), TOKENBOARD_HOME=str(home), TOKENBOARD_NOW=now.isoformat())


def tables(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    with duckdb.connect(path, read_only=True) as connection:
        names = connection.execute(
            "SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE schema_name <> 'main'"
        ).fetchall()
        return {name: connection.execute(f"FROM {name} ORDER BY ALL").fetchall() for (name,) in names}


def landed(root: Path, report: str) -> list[str]:
    return sorted(manifest.parent.name for manifest in root.glob(f"openai/{report}/*/manifest.json"))


def test_what_figures_and_invoices_rest_on_stays_and_the_rest_goes(read_three_times: Settings) -> None:
    settings = read_three_times
    root = settings.landing_path
    assert len(landed(root, "costs")) == 3
    with open_warehouse(settings.warehouse_path) as warehouse:
        done = prune(warehouse, root, 0, settings.now + timedelta(days=1))
        rested = loads(warehouse, "SELECT load_id FROM billing.invoice_inputs")
        pruned = loads(warehouse, "SELECT load_id FROM ops.loads WHERE pruned_at IS NOT NULL")
        first, invoiced, newest = sorted(loads(warehouse, "SELECT load_id FROM ops.loads WHERE report = 'costs'"))
    assert landed(root, "costs") == [invoiced, newest]
    assert invoiced in rested
    assert first in pruned
    assert done.loads == len(pruned) > 0
    assert not rested & pruned
    for load in rested:
        for manifest in root.glob(f"*/*/{load}/manifest.json"):
            read_landing(manifest.parent).verify()


def loads(warehouse: duckdb.DuckDBPyConnection, query: str) -> set[str]:
    return {load for (load,) in warehouse.execute(query).fetchall()}


def test_after_pruning_a_rebuild_gives_equal_tables(read_three_times: Settings) -> None:
    settings = read_three_times
    with open_warehouse(settings.warehouse_path) as warehouse:
        prune(warehouse, settings.landing_path, 0, settings.now + timedelta(days=1))
    before = tables(settings.warehouse_path)
    with dg.DagsterInstance.ephemeral() as instance:
        run_rebuild(settings, instance)
    assert tables(settings.warehouse_path) == before


def test_young_loads_and_pruning_twice_change_nothing(read_three_times: Settings) -> None:
    settings = read_three_times
    with open_warehouse(settings.warehouse_path) as warehouse:
        assert prune(warehouse, settings.landing_path, 30, settings.now).loads == 0
        assert prune(warehouse, settings.landing_path, 0, settings.now + timedelta(days=1)).loads > 0
        assert prune(warehouse, settings.landing_path, 0, settings.now + timedelta(days=1)).loads == 0
