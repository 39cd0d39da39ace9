"""Runs whose process died end by themselves, and the next run goes on from them."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from assets.liveness import dead_runs, end_dead_runs
from assets.run import instance_for, run_nightly
from chaos.command import home, kill
from deploy.services import until
from tokenboard_etl.periods import Window
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.settings import load_settings

DAYS = Window.of_days(date(2026, 4, 29), date(2026, 5, 1))


@pytest.mark.slow
def test_a_command_that_was_killed_is_found_dead_and_what_it_landed_is_used(
    sandbox: RunningSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = home(tmp_path / "home", sandbox, OPENROUTER_MANAGEMENT_KEY="")
    running = place.path / "running"
    sandbox.add_fault("slow", "/organization/costs", delay=1)
    process = place.start(DAYS)
    until("a landing", lambda: place.count("landing/openai/completions/*/manifest.json"), 60, every=0.01)
    with instance_for(place.path / "dagster") as instance:
        assert end_dead_runs(instance, running) == []
        kill(process)
        sandbox.clear_faults()
        [run] = instance.get_runs()
        assert run.status is dg.DagsterRunStatus.STARTED
        assert end_dead_runs(instance, running) == [run.run_id]
        assert instance.get_runs()[0].status is dg.DagsterRunStatus.FAILURE
        assert list(running.iterdir()) == []
        assert end_dead_runs(instance, running) == []

        run_nightly(load_settings(**{**place.env, "OPENROUTER_MANAGEMENT_KEY": None}), DAYS, instance)
        assert place.count("landing/openai/completions/*/manifest.json") == 1
        assert list(running.iterdir()) == []
        monkeypatch.setenv("TOKENBOARD_HOME", str(place.path))
        with dg.build_sensor_context(instance=instance) as context:
            said = dead_runs(context)
        assert isinstance(said, dg.SkipReason)
        assert "lives" in str(said.skip_message)


def test_a_run_that_is_at_work_elsewhere_is_left_alone(tmp_path: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run = instance.create_run_for_job(_a_job, status=dg.DagsterRunStatus.STARTED)
        assert end_dead_runs(instance, tmp_path) == []
        (tmp_path / f"{run.run_id}.lock").touch()
        assert end_dead_runs(instance, tmp_path) == [run.run_id]


@dg.job
def _a_job() -> None:
    """Of no step."""
