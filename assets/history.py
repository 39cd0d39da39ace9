"""How many of Dagster's records of runs are kept. They are history, not figures: no number rests on them.

Dagster itself forgets ticks of schedules and sensors (`retention` in dagster.yaml) and no run. A night is some 3 MB of
records in SQLite, and the running day is read 288 times a day.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import dagster as dg
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

EVERY_SECONDS = 3600

KEPT_RUNS: Mapping[str, int] = {"nightly": 400, "intraday": 600, "__ASSET_JOB": 400}
"""The newest so many runs of a job: nights of more than the year that providers can be asked about, two days of the
running day, and what people materialized by hand. Runs of other jobs are few and stay."""

_AT_ONCE = 100
"""More than an hour brings; what has piled up goes in several goes."""

_ENDED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)


def forget_old_runs(instance: dg.DagsterInstance, kept: Mapping[str, int] = KEPT_RUNS) -> list[str]:
    """Deletes the oldest runs that have ended, beyond the newest `kept` of their job; returns their ids."""
    return [run_id for job, count in kept.items() for run_id in _forgotten(instance, job, count)]


def _forgotten(instance: dg.DagsterInstance, job: str, kept: int) -> Iterator[str]:
    newest = instance.get_run_ids(dg.RunsFilter(job_name=job), limit=kept)
    if len(newest) < kept:
        return
    older = dg.RunsFilter(job_name=job, statuses=list(_ENDED))
    for run_id in instance.get_run_ids(older, cursor=newest[-1], limit=_AT_ONCE):
        instance.delete_run(run_id)
        storage = instance.event_log_storage
        if isinstance(storage, SqliteEventLogStorage):  # it empties the file of a run and leaves it as large as it was
            for ending in ("", "-wal", "-shm"):
                Path(storage.path_for_shard(run_id) + ending).unlink(missing_ok=True)
        yield run_id


@dg.sensor(
    minimum_interval_seconds=EVERY_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Deletes Dagster's records of the oldest runs, so that they do not grow without end.",
)
def old_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    forgotten = forget_old_runs(context.instance)
    return dg.SkipReason(f"Forgot {len(forgotten)} run(s)." if forgotten else "No run is old enough to be forgotten.")
