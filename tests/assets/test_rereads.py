"""Days that moved between two requests, and a month that is read once more before it is closed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime

import dagster as dg
import pytest

from assets.run import run_month_close, run_nightly
from tokenboard_etl.errors import MalformedAnswer, ProviderRejected
from tokenboard_etl.periods import Month, Window
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.settings import Settings, load_settings
from tokenboard_etl.warehouse.checks import all_checks, run_checks
from tokenboard_etl.warehouse.connection import open_warehouse

YESTERDAY = Window(date(2026, 6, 14), date(2026, 6, 15))
COSTS = "GET /openai/v1/organization/costs"
MAY = Month(2026, 5)
NIGHT_BEFORE = datetime(2026, 6, 14, 2, tzinfo=UTC)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def disagreeing(settings: Settings) -> int:
    moves = [check for check in all_checks() if check.name == "control_total_moves"]
    with open_warehouse(settings.warehouse_path) as warehouse:
        (finding,) = run_checks(warehouse, moves)
        return finding.violations


def loads(settings: Settings, report: str) -> int:
    with open_warehouse(settings.warehouse_path) as warehouse:
        rows = warehouse.execute("SELECT count(*) FROM ops.loads WHERE report = $1", [report]).fetchall()
    return int(rows[0][0])


def test_a_day_that_moved_once_is_read_again_and_then_agrees(
    sandbox: RunningSandbox, settings: Settings, instance: dg.DagsterInstance
) -> None:
    sandbox.add_fault("later", COSTS, hours=6, times=2)
    run_nightly(settings, YESTERDAY, instance)
    assert loads(settings, "costs") == loads(settings, "costs_total") == 2
    assert disagreeing(settings) == 0


def test_a_day_that_never_stops_moving_is_read_three_times_more_and_is_then_a_warning(
    sandbox: RunningSandbox, settings: Settings, instance: dg.DagsterInstance
) -> None:
    sandbox.add_fault("later", COSTS, hours=6)
    run_nightly(settings, YESTERDAY, instance)
    assert loads(settings, "costs") == loads(settings, "costs_total") == 4
    assert disagreeing(settings) == 1
    assert settings.published_path.exists()


def test_days_that_could_not_be_read_end_the_night_also_where_only_some_of_them_moved(
    sandbox: RunningSandbox, settings: Settings, instance: dg.DagsterInstance
) -> None:
    """The total of a day that was restated is there, its costs are not: reading that day again is not enough."""
    sandbox.set_clock(NIGHT_BEFORE)
    early = load_settings(**sandbox.env(), TOKENBOARD_HOME=str(settings.home), TOKENBOARD_NOW=NIGHT_BEFORE.isoformat())
    run_nightly(early, Window(date(2026, 6, 10), date(2026, 6, 14)), instance)
    sandbox.set_clock(settings.now)
    sandbox.add_fault("malformed", COSTS, times=1)
    five_days = Window(date(2026, 6, 10), date(2026, 6, 15))
    with pytest.raises(MalformedAnswer, match="/organization/costs"):
        run_nightly(settings, five_days, instance)
    assert (loads(settings, "costs"), loads(settings, "costs_total")) == (1, 2)
    run_nightly(settings, five_days, instance)
    assert disagreeing(settings) == 0


@pytest.fixture
def read_too_early(sandbox: RunningSandbox, settings: Settings, instance: dg.DagsterInstance) -> Settings:
    """The fifth of June: May was read on its second last night only."""
    early = datetime(2026, 6, 1, 2, tzinfo=UTC)
    sandbox.set_clock(early)
    first = load_settings(**sandbox.env(), TOKENBOARD_HOME=str(settings.home), TOKENBOARD_NOW=early.isoformat())
    run_nightly(first, MAY.window, instance)
    closing = datetime(2026, 6, 5, 6, tzinfo=UTC)
    sandbox.set_clock(closing)
    return load_settings(**sandbox.env(), TOKENBOARD_HOME=str(settings.home), TOKENBOARD_NOW=closing.isoformat())


def test_a_month_is_read_once_more_before_it_is_closed_and_only_once(
    sandbox: RunningSandbox, read_too_early: Settings, instance: dg.DagsterInstance
) -> None:
    run_month_close(read_too_early, MAY, instance)
    assert loads(read_too_early, "costs") == loads(read_too_early, "analytics") == 2
    assert loads(read_too_early, "completions") == loads(read_too_early, "activity_by_key") == 2
    with open_warehouse(read_too_early.warehouse_path) as warehouse:
        states = warehouse.execute(
            "SELECT DISTINCT state FROM ops.source_days WHERE gates_closing AND usage_date < DATE '2026-06-01'"
        ).fetchall()
    assert states == [("closed",)]
    asked = sandbox.request_count(COSTS)
    run_month_close(read_too_early, MAY, instance)
    assert sandbox.request_count(COSTS) == asked


def test_a_month_that_cannot_be_read_once_more_is_not_closed_unless_somebody_accepts_it(
    sandbox: RunningSandbox, read_too_early: Settings, instance: dg.DagsterInstance
) -> None:
    sandbox.add_fault("status", COSTS, status=400)
    with pytest.raises(ProviderRejected, match="/organization/costs"):
        run_month_close(read_too_early, MAY, instance)
    run_month_close(read_too_early, MAY, instance, accepted_reason="the provider is down, finance agreed")
    with open_warehouse(read_too_early.warehouse_path) as warehouse:
        closed = warehouse.execute("SELECT month, accepted_reason FROM billing.closed_months").fetchall()
    assert closed == [("2026-05", "the provider is down, finance agreed")]
