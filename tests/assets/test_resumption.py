"""What a run that was stopped had landed whole is not asked for again; what a finished run landed is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import dagster as dg
import pytest

from assets.definitions import definitions
from assets.partitions import range_tags
from assets.resources import Surroundings
from assets.run import run_nightly
from tokenboard_etl.errors import CheckFailed, ProviderRejected
from tokenboard_etl.periods import Window
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.settings import Settings
from tokenboard_etl.warehouse.connection import open_warehouse

DAYS = Window(date(2026, 6, 10), date(2026, 6, 15))
COSTS, COMPLETIONS = "GET /openai/v1/organization/costs", "GET /openai/v1/organization/usage/completions"
LATER_STEPS = ("/organization/projects", "/organization/admin_api_keys", "/analytics/query", "/openrouter/api/v1/keys")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def asked(sandbox: RunningSandbox) -> tuple[int, int]:
    return sandbox.request_count(COSTS), sandbox.request_count(COMPLETIONS)


def test_after_a_report_that_could_not_be_read_only_that_one_is_asked_for_again(
    sandbox: RunningSandbox, settings: Settings, instance: dg.DagsterInstance
) -> None:
    sandbox.add_fault("status", "/usage/completions", status=400)
    with pytest.raises(ProviderRejected, match="GET /organization/usage/completions"):
        run_nightly(settings, DAYS, instance)
    assert not settings.published_path.exists()
    sandbox.clear_faults()
    costs, completions = asked(sandbox)
    later = [sandbox.request_count(endpoint) for endpoint in LATER_STEPS]
    assert all(later)
    run_nightly(settings, DAYS, instance)
    assert asked(sandbox)[0] == costs
    assert asked(sandbox)[1] > completions
    assert [sandbox.request_count(endpoint) for endpoint in LATER_STEPS] == later
    run_nightly(settings, DAYS, instance)
    assert asked(sandbox)[0] > costs, "a run after a success reads everything anew"


def test_a_run_that_was_stopped_before_it_started_keeps_nothing_from_being_continued(
    sandbox: RunningSandbox, settings: Settings, instance: dg.DagsterInstance
) -> None:
    """A run is recorded a moment before it starts, and may be killed in between."""
    sandbox.add_fault("status", "/usage/completions", status=400)
    with pytest.raises(ProviderRejected):
        run_nightly(settings, DAYS, instance)
    sandbox.clear_faults()
    costs, _ = asked(sandbox)
    job = definitions(Surroundings(settings)).resolve_job_def("nightly")
    stopped = instance.create_run_for_job(job, tags=range_tags(DAYS))
    assert stopped.status is dg.DagsterRunStatus.NOT_STARTED
    run_nightly(settings, DAYS, instance)
    assert asked(sandbox)[0] == costs


def test_after_a_failed_check_everything_is_asked_for_again(
    sandbox: RunningSandbox, settings: Settings, instance: dg.DagsterInstance
) -> None:
    run_nightly(settings, DAYS, instance)
    with open_warehouse(settings.warehouse_path) as warehouse:
        for tenant in ("a", "b"):
            warehouse.execute(
                "INSERT INTO registry.accounts VALUES ($1, 'openai', 'project', 'proj_x', $2, NULL, $3)",
                [tenant, date(2026, 1, 1), settings.now],
            )
    for _ in range(2):
        costs, completions = asked(sandbox)
        with pytest.raises(CheckFailed):
            run_nightly(settings, DAYS, instance)
        assert asked(sandbox)[0] > costs
        assert asked(sandbox)[1] > completions


def test_other_days_share_nothing_with_an_interrupted_run(
    sandbox: RunningSandbox, settings: Settings, instance: dg.DagsterInstance
) -> None:
    sandbox.add_fault("status", "/usage/completions", status=400)
    with pytest.raises(ProviderRejected):
        run_nightly(settings, DAYS, instance)
    sandbox.clear_faults()
    costs, _ = asked(sandbox)
    run_nightly(settings, Window(DAYS.start, date(2026, 6, 14)), instance)
    assert asked(sandbox)[0] > costs
