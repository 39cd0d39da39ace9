"""Whether the process of a run still lives, and an end for the runs of processes that do not.

Dagster's default launcher learns of a death only from the code server that started the process. A command line that
was killed, or a machine that lost power, leaves a run that is STARTED for ever, and its place in the queue taken: the
next night would wait for it. So each run holds a lock, which the kernel frees however the process dies, and a sensor
looks every half minute which locks are free.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from tokenboard_etl.files import storage_errors
from tokenboard_etl.settings import load_settings

EVERY_SECONDS = 30

_IN_PROCESS = (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING)


@contextmanager
def alive(folder: Path, run_id: str) -> Iterator[None]:
    """Holds the run's lock in `folder`, with the number of this process for people, while the block runs."""
    path = _lock_of(folder, run_id)
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.write(descriptor, str(os.getpid()).encode())
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def end_dead_runs(instance: dg.DagsterInstance, folder: Path) -> list[str]:
    """Records runs as failed whose process has died; returns their ids.

    A run without a lock is left alone: it has not begun yet, or works in another place.
    """
    ended = []
    for record in instance.get_run_records(dg.RunsFilter(statuses=list(_IN_PROCESS))):
        run = record.dagster_run
        if _has_died(_lock_of(folder, run.run_id)) and not _is_finished(instance, run.run_id):
            instance.report_run_failed(
                run, "The process of this run died; another run of the same work goes on from it."
            )
            ended.append(run.run_id)
        if _is_finished(instance, run.run_id):
            _lock_of(folder, run.run_id).unlink(missing_ok=True)
    return ended


@dg.sensor(
    minimum_interval_seconds=EVERY_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Ends runs whose process has died, so that nothing waits for them.",
)
def dead_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    ended = end_dead_runs(context.instance, load_settings().running_path)
    return dg.SkipReason(f"Ended {', '.join(ended)}." if ended else "Every run that is recorded as started lives.")


def _lock_of(folder: Path, run_id: str) -> Path:
    return folder / f"{run_id}.lock"


def _has_died(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def _is_finished(instance: dg.DagsterInstance, run_id: str) -> bool:
    """As it stands now: the run may have ended since it was listed."""
    run = instance.get_run_by_id(run_id)
    return run is None or run.is_finished
