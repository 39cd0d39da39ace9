"""What the doctor tells: keys, failures, days that were never fetched, and how long they still can be."""

from __future__ import annotations

import base64
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from assets.run import run_nightly
from tests.commands import tokenboard
from tests.conftest import NOW
from tokenboard_etl.doctor import examine, horizons
from tokenboard_etl.errors import ProviderRejected
from tokenboard_etl.findings import Level
from tokenboard_etl.periods import Window
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.settings import Settings, load_settings
from tokenboard_etl.tenants.key_ring import KeyRing
from tokenboard_etl.tenants.vault import change_vault

DAYS = Window(date(2026, 6, 10), date(2026, 6, 15))


def told(settings: Settings) -> dict[str, tuple[str, str]]:
    return {finding.about: (finding.level.name, finding.what) for finding in examine(settings)}


def test_before_the_first_night_keys_are_told_and_nothing_is_published(settings: Settings) -> None:
    found = told(settings)
    assert found["openai"] == ("fine", found["openai"][1])
    assert found["openai"][1].startswith("may read costs and usage")
    assert found["openrouter"][1].startswith("may read keys, credits and analytics")
    assert found["published file"][0] == "warning"


def test_without_any_key_that_is_the_finding(tmp_path: Path) -> None:
    (finding,) = [f for f in examine(load_settings(TOKENBOARD_HOME=str(tmp_path))) if f.level is Level.error]
    assert "OPENAI_ADMIN_KEY" in finding.what


def test_a_key_of_the_wrong_kind_is_an_error_with_advice(sandbox: RunningSandbox, tmp_path: Path) -> None:
    given = {**sandbox.env(), "OPENAI_ADMIN_KEY": "sk-admin-nobody-0123456789"}
    level, what = told(load_settings(**given, TOKENBOARD_HOME=str(tmp_path)))["openai"]
    assert level == "error"
    assert "admin key" in what


def test_a_home_that_others_get_at_is_told(tmp_path: Path) -> None:
    home = tmp_path / "home"
    key = bytes(32)
    settings = load_settings(TOKENBOARD_HOME=str(home), TOKENBOARD_ENCRYPTION_KEY=base64.b64encode(key).decode())

    def found() -> list[tuple[str, str]]:
        return [(each.level.name, each.what) for each in examine(settings) if each.about == "files"]

    settings.operations_inbox_path.mkdir(parents=True)
    with change_vault(settings.vault_path, KeyRing([key])):
        home.chmod(0o755)
    settings.warehouse_path.touch(0o600)
    assert found() == []
    settings.warehouse_path.chmod(0o644)
    [(level, what)] = found()
    assert (level, f"chmod o-x {home}" in what) == ("warning", True)
    home.chmod(0o750)
    assert found() == []
    settings.vault_path.chmod(0o640)
    settings.operations_inbox_path.chmod(0o777)
    assert [level for level, _ in found()] == ["error", "error"]


def test_missing_days_count_down_to_the_day_they_are_lost(sandbox: RunningSandbox, settings: Settings) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run_nightly(settings, DAYS, instance)
    late = datetime(2026, 7, 10, 2, tzinfo=UTC)
    with duckdb.connect(settings.published_path, read_only=True) as published:
        found = {(each.connection_id, each.report): each for each in horizons(published, late.date())}
    never_fetched = [DAYS.end + timedelta(days=n) for n in range((late.date() - DAYS.end).days)]
    costs, activity = found["openai", "costs"], found["openrouter", "activity"]
    assert (costs.missing, costs.lost, costs.oldest_missing) == (len(never_fetched), 0, date(2026, 6, 15))
    assert costs.days_left == 365 - 25
    assert (activity.missing, activity.lost) == (len(never_fetched), 0)
    assert activity.days_left == 29 - 25
    assert found["openrouter", "activity_by_key"].days_left == 29 - 25
    later = late + timedelta(days=10)
    with duckdb.connect(settings.published_path, read_only=True) as published:
        found = {(each.connection_id, each.report): each for each in horizons(published, later.date())}
    activity = found["openrouter", "activity"]
    assert (activity.lost, activity.oldest_missing) == (6, date(2026, 6, 21))
    assert activity.days_left == 0
    told_late = told(
        load_settings(**sandbox.env(), TOKENBOARD_HOME=str(settings.home), TOKENBOARD_NOW=late.isoformat())
    )
    assert told_late["openrouter activity"][0] == "error"
    assert "can be had for 4 more day(s)" in told_late["openrouter activity"][1]
    assert told_late["openai costs"][0] == "warning"


def test_a_report_that_could_not_be_read_is_named_until_it_was(sandbox: RunningSandbox, settings: Settings) -> None:
    sandbox.add_fault("status", "/usage/completions", status=400)
    with dg.DagsterInstance.ephemeral() as instance:
        with pytest.raises(ProviderRejected):
            run_nightly(settings, DAYS, instance)
        level, what = told(settings)["openai completions"]
        assert level == "error"
        assert "GET /organization/usage/completions" in what
        sandbox.clear_faults()
        run_nightly(settings, DAYS, instance)
    assert told(settings)["openai completions"] == ("fine", "every day that can be had is here")


def test_what_a_key_may_not_read_is_told_with_the_reason_and_is_no_error(
    sandbox: RunningSandbox, settings: Settings
) -> None:
    """Neither now nor when the provider has long forgotten those days: nothing an operator can fetch is lost."""
    sandbox.add_fault("status", "/organization/projects", status=403)
    sandbox.add_fault("status", "/usage/decisions", status=404)
    with dg.DagsterInstance.ephemeral() as instance:
        run_nightly(settings, DAYS, instance)
    found = told(settings)
    assert found["openai"] == (
        "warning",
        "may read costs and usage; not projects, so costs have ids and no names",
    )
    for report, status in (("projects", 403), ("spend_limits", 403), ("other_usage.decisions", 404)):
        level, what = found[f"openai {report}"]
        assert level == "warning"
        assert what.startswith("unavailable, which is not zero: ")
        assert f"HTTP {status}" in what
    much_later = (NOW + timedelta(days=360)).isoformat()
    later = told(load_settings(**sandbox.env(), TOKENBOARD_HOME=str(settings.home), TOKENBOARD_NOW=much_later))
    assert later["openai other_usage.decisions"][0] == "warning"


def test_the_command_exits_with_1_where_something_is_wrong(sandbox: RunningSandbox, tmp_path: Path) -> None:
    home = {"TOKENBOARD_HOME": str(tmp_path / "home")}
    sound = tokenboard("doctor", env={**home, **sandbox.env()}, cwd=tmp_path)
    assert (sound.returncode, sound.stderr) == (0, "")
    wrong = tokenboard("doctor", env=home, cwd=tmp_path)
    assert wrong.returncode == 1
    assert "No provider is configured" in wrong.stdout
