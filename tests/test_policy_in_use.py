"""A policy that changes: what `close --dry-run` says of it beforehand, and what it never changes."""

from __future__ import annotations

import hashlib
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from assets.run import run_nightly
from tests.commands import tokenboard
from tests.conftest import NOW
from tokenboard_etl.closing import bring_up_to_date, close
from tokenboard_etl.dry_run import DryRun, dry_run
from tokenboard_etl.errors import PolicyError, WrongUse
from tokenboard_etl.periods import Month, Window
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.settings import Settings, load_settings
from tokenboard_etl.tenants.csv_import import import_tenants
from tokenboard_etl.warehouse.connection import open_warehouse
from tokenboard_etl.warehouse.rebuild import rebuild
from tokenboard_etl.warehouse.sql_files import names_in

MAY = Month(2026, 5)


@dataclass(frozen=True)
class Home:
    """A home with May loaded, and the policy file its commands read."""

    settings: Settings
    policy: Path

    def forecast(self) -> DryRun:
        before = self.everything()
        run = dry_run(self.settings, MAY)
        assert self.everything() == before
        return run

    def everything(self) -> dict[str, str]:
        """Every file but the lock, by its content."""
        files = (path for path in self.settings.home.rglob("*") if path.is_file() and path.suffix != ".lock")
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    def close(self, tenant_id: str | None = None) -> None:
        with open_warehouse(self.settings.warehouse_path) as warehouse:
            close(warehouse, self.settings, MAY, tenant_id=tenant_id)


def home_in(folder: Path, sandbox: RunningSandbox) -> Home:
    policy = folder / "policy.yaml"
    state = {"TOKENBOARD_HOME": str(folder / "home"), "TOKENBOARD_POLICY": str(policy)}
    return Home(load_settings(**sandbox.env(), **state, TOKENBOARD_NOW=NOW.isoformat()), policy)


@pytest.fixture(scope="module")
def loaded(_shared_sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with such a home, and a policy that says nothing."""
    folder = tmp_path_factory.mktemp("may")
    made = home_in(folder, _shared_sandbox)
    made.policy.write_text("")
    names = folder / "tenants.csv"
    names.write_text(_shared_sandbox.world.tenants_csv())
    with open_warehouse(made.settings.warehouse_path) as warehouse:
        import_tenants(warehouse, names, NOW)
    with dg.DagsterInstance.ephemeral() as instance:
        run_nightly(made.settings, Window(MAY.first, MAY.next().first), instance)
    return folder


@pytest.fixture
def home(loaded: Path, sandbox: RunningSandbox, tmp_path: Path) -> Home:
    return home_in(shutil.copytree(loaded, tmp_path / "own", symlinks=True), sandbox)


def percent(value: int, **others: str) -> str:
    fields = "".join(f", {name}: {value}" for name, value in others.items())
    return f"margins: [{{id: all, percent: {value}, from: 2026-01-01{fields}}}]\n"


def test_what_it_forecasts_is_what_closing_then_issues(home: Home) -> None:
    home.policy.write_text(percent(50))
    forecast = home.forecast()
    assert forecast.is_new_policy
    assert forecast.obstacles == ()
    home.close()
    with open_warehouse(home.settings.warehouse_path) as warehouse:
        issued = warehouse.execute(
            "SELECT tenant_id, net_minor FROM billing.invoices WHERE month = '2026-05' ORDER BY 1"
        ).fetchall()
    assert [(each.tenant_id, each.now_minor) for each in forecast.forecasts] == issued
    assert [(each.buyer.tenant_id, each.net_minor) for each in forecast.documents] == issued
    assert len(issued) > 3


def test_it_holds_the_new_policy_against_the_last_and_against_what_is_issued(home: Home) -> None:
    home.policy.write_text(percent(0))
    with open_warehouse(home.settings.warehouse_path) as warehouse:
        bring_up_to_date(warehouse, home.settings)
    plain = home.forecast()
    assert not plain.is_new_policy
    assert all(each.policy_difference_minor == 0 for each in plain.forecasts)
    first = plain.forecasts[0].tenant_id
    home.close(first)
    with open_warehouse(home.settings.warehouse_path) as warehouse:  # compared in the currency of the invoice
        warehouse.execute("UPDATE registry.tenants SET currency = 'EUR' WHERE tenant_id = $1", [first])

    home.policy.write_text(percent(100, tenant=first))
    forecast = home.forecast()
    assert forecast.obstacles == ()
    one, *others = forecast.forecasts
    assert (one.tenant_id, one.invoice_number, one.currency) == (first, "INV-2026-00001", "USD")
    assert one.issued_minor == one.before_minor == plain.forecasts[0].now_minor
    assert one.now_minor
    assert abs(one.now_minor - 2 * (one.issued_minor or 0)) <= 200  # a cent a line by rounding
    assert one.issued_difference_minor == one.policy_difference_minor == one.now_minor - (one.issued_minor or 0)
    assert all(each.invoice_number is None and each.issued_difference_minor is None for each in others)
    assert all((each.now_minor or 0) > (each.before_minor or 0) for each in others)  # the defaults again
    assert [each.before_minor for each in others] == [each.now_minor for each in plain.forecasts[1:]]


def test_it_says_what_closing_would_be_refused_for(home: Home) -> None:
    home.policy.write_text("waiting_days: 40\n")
    assert [re.sub(r" 2026.*", "", each) for each in home.forecast().obstacles] == [
        "the policy waits 40 days after a month's end, until"
    ]


def test_a_month_that_is_not_over_is_a_preview_and_one_that_has_not_begun_is_wrong_use(home: Home) -> None:
    home.policy.write_text("fees: [{id: fee, description: Platform fee, amount: 49, from: 2026-06-01}]")
    preview = dry_run(home.settings, MAY.next())
    assert preview.obstacles == ("2026-06 is not over; it can be closed from 2026-07-01 on.",)
    assert {line.description for document in preview.documents for line in document.lines} == {"Platform fee"}
    assert [each.buyer.tenant_id for each in preview.documents] == [each.tenant_id for each in preview.forecasts]
    with pytest.raises(WrongUse, match="2026-07 is not over"):
        dry_run(home.settings, MAY.next().next())


def test_a_policy_that_cannot_be_used_and_a_home_without_figures_are_said(home: Home, tmp_path: Path) -> None:
    home.policy.write_text("margin: []")
    with pytest.raises(PolicyError, match="did you mean 'margins'"):
        home.forecast()
    empty = load_settings(TOKENBOARD_HOME=str(tmp_path / "empty"))
    with pytest.raises(WrongUse, match="no warehouse"):
        dry_run(empty, MAY)
    assert not (tmp_path / "empty").exists()


def test_the_command_prints_whole_amounts_and_leaves_nothing(home: Home) -> None:
    home.policy.write_text(percent(50))
    (home.settings.home / ".scratch-of-a-killed-one").mkdir()
    before = home.everything()
    result = tokenboard(
        *("close", "2026-05", "--dry-run"),
        env={
            "TOKENBOARD_HOME": str(home.settings.home),
            "TOKENBOARD_NOW": home.settings.now.isoformat(),
            "TOKENBOARD_POLICY": str(home.policy),
            "OPENAI_BASE_URL": home.settings.openai_base_url,
            "OPENROUTER_BASE_URL": home.settings.openrouter_base_url,
            "COLUMNS": "80",
        },
        cwd=home.settings.home.parent,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert "…" not in result.stdout
    assert "$" in result.stdout
    assert "Nothing was written" in result.stdout
    assert home.everything() == before
    assert list(home.settings.home.glob(".scratch-*")) == []


def test_another_policy_leaves_issued_rows_documents_and_closed_months_as_they_are(home: Home) -> None:
    """Also when everything is rebuilt from the landings under it."""
    home.policy.write_text(percent(50))
    home.close()

    def of_may() -> dict[str, object]:
        with open_warehouse(home.settings.warehouse_path) as warehouse:
            tables = {
                table: warehouse.execute(f"FROM {table} ORDER BY ALL").fetchall()
                for table in (
                    *names_in("billing"),
                    "billing.documents",
                    "billing.invoice_lines",
                    "billing.invoice_appendix",
                    "billing.issues",
                    "billing.closed_months",
                )
            }
        return {**tables, **{str(p): p.read_bytes() for p in home.settings.reports_path.rglob("INV-*.html")}}

    before = of_may()
    home.policy.write_text(percent(75))
    home.close()
    assert of_may() == before
    with open_warehouse(home.settings.warehouse_path) as warehouse:
        rebuild(warehouse, home.settings.landing_path, home.settings.now, home.settings.settle_days)
    assert of_may() == before
