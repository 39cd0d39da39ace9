"""Dagster's records of runs are kept up to a number, the newest ones."""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from assets.history import KEPT_RUNS, forget_old_runs, old_runs
from assets.run import instance_for

KEPT = {"often": 3, "__ASSET_JOB": 2}


@dg.asset
def a_table() -> None:
    """Of no rows."""


often = dg.define_asset_job("often", [a_table])
seldom = dg.define_asset_job("seldom", [a_table])
_DEFINITIONS = dg.Definitions([a_table], jobs=[often, seldom])


def run(instance: dg.DagsterInstance, job: str) -> str:
    return _DEFINITIONS.resolve_job_def(job).execute_in_process(instance=instance).run_id


def test_the_oldest_runs_that_have_ended_are_forgotten_with_their_files(tmp_path: Path) -> None:
    with instance_for(tmp_path) as instance:
        seldom_run = run(instance, "seldom")
        under_way = instance.create_run_for_job(
            _DEFINITIONS.resolve_job_def("often"), status=dg.DagsterRunStatus.STARTED
        ).run_id
        runs = [run(instance, "often") for _ in range(5)]
        assert forget_old_runs(instance, KEPT) == [runs[1], runs[0]]
        assert forget_old_runs(instance, KEPT) == []
        kept = {seldom_run, under_way, *runs[2:]}
        assert set(instance.get_run_ids()) == kept
        files = {path.stem for path in tmp_path.glob("history/runs/*.db")}
        assert files - {"index"} <= kept
        records = instance.fetch_materializations(dg.AssetKey("a_table"), limit=50).records
        assert {record.run_id for record in records} == kept - {under_way}


def test_what_is_kept_reaches_further_back_than_providers_can_be_asked(tmp_path: Path) -> None:
    assert KEPT_RUNS["nightly"] > 365
    with instance_for(tmp_path) as instance, dg.build_sensor_context(instance=instance) as context:
        said = old_runs(context)
        assert isinstance(said, dg.SkipReason)
        assert "No run is old enough" in str(said.skip_message)
