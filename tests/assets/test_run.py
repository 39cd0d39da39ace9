"""The jobs as the command line runs them: what stops them, and what then remains."""

from __future__ import annotations

import csv
import hashlib
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy

from assets.run import lost_records_named, run_month_close, run_nightly
from chaos.disturbances import can_mount
from deploy.services import free_port
from tokenboard_etl.errors import CheckFailed, KeyRefused, RecordsUnavailable, StorageFailed, TokenboardError
from tokenboard_etl.periods import Month, Window
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.settings import Settings, load_settings
from tokenboard_etl.tenants.csv_import import import_tenants
from tokenboard_etl.warehouse.connection import open_warehouse

DAYS = Window(date(2026, 6, 10), date(2026, 6, 15))


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def test_a_blocking_check_stops_publication_and_says_what_it_found(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    run_nightly(settings, DAYS, instance)
    before = settings.published_path.read_bytes()
    with open_warehouse(settings.warehouse_path) as warehouse:
        for tenant in ("a", "b"):
            warehouse.execute(
                "INSERT INTO registry.accounts VALUES ($1, 'openai', 'project', 'proj_x', $2, NULL, $3)",
                [tenant, date(2026, 1, 1), settings.now],
            )
    with pytest.raises(CheckFailed, match=r"bindings_do_not_overlap.*account_id=proj_x"):
        run_nightly(settings, DAYS, instance)
    assert settings.published_path.read_bytes() == before


def test_a_step_that_fails_raises_its_own_error_and_the_other_provider_is_still_loaded(
    sandbox: RunningSandbox, settings: Settings, instance: dg.DagsterInstance
) -> None:
    wrong = {**sandbox.env(), "OPENAI_ADMIN_KEY": "sk-admin-nobody"}
    refused = load_settings(**wrong, TOKENBOARD_HOME=str(settings.home), TOKENBOARD_NOW=settings.now.isoformat())
    with pytest.raises(KeyRefused) as caught:
        run_nightly(refused, DAYS, instance)
    assert caught.value.exit_status == 2
    assert "OPENAI_ADMIN_KEY" in str(caught.value)
    assert not settings.published_path.exists()
    with open_warehouse(settings.warehouse_path) as warehouse:
        loaded = warehouse.execute("SELECT DISTINCT provider FROM ops.loads").fetchall()
    assert loaded == [("openrouter",)]


def test_closing_publishes_the_invoices_and_the_closed_state(settings: Settings, instance: dg.DagsterInstance) -> None:
    may = Month(2026, 5)
    run_nightly(settings, may.window, instance)
    run_month_close(settings, may, instance)
    with open_warehouse(settings.warehouse_path) as warehouse:
        states = warehouse.execute(
            "SELECT DISTINCT state FROM billing.tenant_months WHERE month = '2026-05'"
        ).fetchall()
    assert states == [("closed",)]


def test_a_settled_month_without_its_control_total_is_not_closed(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    may = Month(2026, 5)
    run_nightly(settings, may.window, instance)
    with open_warehouse(settings.warehouse_path) as warehouse:
        warehouse.execute("DELETE FROM ops.load_days WHERE report = 'costs_total'")
        warehouse.execute("INSERT INTO ops.dirty_months VALUES ('2026-05')")
    with pytest.raises(CheckFailed, match="control_total_agrees"):
        run_month_close(settings, may, instance)
    before = settings.published_path.read_bytes()
    with pytest.raises(CheckFailed, match=r"nothing was published.*control_total_agrees"):
        run_month_close(settings, may, instance, accepted_reason="finance agreed", accepted_by="Erika Muster")
    with open_warehouse(settings.warehouse_path) as warehouse:
        closed = warehouse.execute("SELECT accepted_reason, accepted_by FROM billing.closed_months").fetchall()
    assert closed == [("finance agreed", "Erika Muster")]
    assert settings.published_path.read_bytes() == before


def test_a_night_finds_a_document_that_was_changed_and_writes_one_that_is_missing(
    sandbox: RunningSandbox, settings: Settings, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    may = Month(2026, 5)
    csv = tmp_path / "tenants.csv"
    csv.write_text(sandbox.world.tenants_csv())
    with open_warehouse(settings.warehouse_path) as warehouse:
        import_tenants(warehouse, csv, settings.now)
    run_nightly(settings, may.window, instance)
    run_month_close(settings, may, instance)
    assert_reports_are_recorded(instance, settings, may)
    first, second, *_ = sorted(settings.reports_path.glob("2026-05/*/INV-*.html"))
    content = first.read_bytes()
    first.unlink()
    run_nightly(settings, DAYS, instance)
    assert first.read_bytes() == content
    second.write_bytes(content)
    with pytest.raises(CheckFailed, match=f"{second.name} is not {second.stem} as it was issued"):
        run_nightly(settings, DAYS, instance)


def assert_reports_are_recorded(instance: dg.DagsterInstance, settings: Settings, month: Month) -> None:
    """The closing made the pages, with the documents it issued, and Dagster says which bytes they are."""
    folder = settings.reports_path / str(month)
    issued = sorted(folder.glob("*/INV-*.html"))
    with (folder / "register.csv").open(newline="", encoding="utf-8-sig") as file:
        assert {row["invoice_number"] for row in csv.DictReader(file)} - {""} == {path.stem for path in issued}
    facts = {name: recorded(instance, name) for name in ("statements", "register", "overview", "index")}
    assert facts["statements"]["files"] == len(list(folder.glob("*/statement.html")))
    assert f"| {month} | {facts['statements']['files']} |" in str(facts["statements"]["preview"])
    assert (facts["register"]["files"], facts["register"]["changed"]) == (2, 2)
    assert f"| {month} | {len(issued)} | $" in str(facts["register"]["preview"])
    assert "| contoso-retail | $" in str(facts["overview"]["preview"])
    invoices = recorded(instance, "invoices")
    assert (invoices["path"], invoices["files"]) == (str(folder), len(issued))
    by_number = sorted(issued, key=lambda path: path.name)
    sums = [hashlib.sha256(path.read_bytes()).hexdigest() for path in by_number]
    assert invoices["sha256"] == hashlib.sha256("".join(sums).encode()).hexdigest()
    assert f"| {by_number[0].stem} | {by_number[0].parent.name} | $" in str(invoices["preview"])
    for name in ("overview", "index"):
        page = settings.reports_path / f"{name}.html"
        assert facts[name]["path"] == str(page)
        assert facts[name]["sha256"] == hashlib.sha256(page.read_bytes()).hexdigest()


def recorded(instance: dg.DagsterInstance, name: str) -> dict[str, object]:
    event = instance.get_latest_materialization_event(dg.AssetKey(["reports", name]))
    assert event
    assert event.asset_materialization
    return {key: value.value for key, value in event.asset_materialization.metadata.items()}


# --- runs that cannot be recorded


def write_to_a_read_only_database(folder: Path) -> None:
    (folder / "runs.db").touch()
    with closing(sqlite3.connect(f"file:{folder / 'runs.db'}?mode=ro", uri=True)) as runs:
        runs.execute("CREATE TABLE runs (run_id)")


def ask_a_postgres_that_is_gone(_folder: Path) -> None:
    """As Dagster does it."""
    url = f"postgresql+psycopg2://dagster@127.0.0.1:{free_port()}/postgres"
    sqlalchemy.create_engine(url).connect()


@pytest.mark.parametrize(
    ("record", "error", "words"),
    [
        (write_to_a_read_only_database, StorageFailed, r"Cannot write .*: the file system is read-only.*; mount it"),
        (ask_a_postgres_that_is_gone, RecordsUnavailable, r"Postgres that .*dagster\.yaml names does not answer"),
    ],
)
def test_a_run_that_cannot_be_recorded_says_where_and_what_to_do(
    tmp_path: Path, record: Callable[[Path], None], error: type[TokenboardError], words: str
) -> None:
    with pytest.raises(error, match=words), lost_records_named(tmp_path):
        record(tmp_path)


def test_an_io_error_of_a_disk_that_became_read_only_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    if not can_mount(folder):
        pytest.skip("nothing can be mounted here")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", folder], check=True)
    try:
        with pytest.raises(StorageFailed, match="the file system is read-only"), lost_records_named(folder):
            raise sqlite3.OperationalError("disk I/O error")
    finally:
        subprocess.run(["umount", folder], check=True)
    with pytest.raises(StorageFailed, match="the disk is full"), lost_records_named(folder):
        raise sqlite3.OperationalError("disk I/O error")


def test_an_error_of_ours_keeps_its_own_words(tmp_path: Path) -> None:
    """Also where they are those of a full disk: it names the folder that is."""
    with pytest.raises(StorageFailed, match="landing"), lost_records_named(tmp_path):
        raise StorageFailed("Cannot write /home/landing: the disk is full.")
