"""Whether the process of a run still lives, and an end for the runs of processes that do not.

Dagster's default launcher learns of a death only from the code server that started the process. A command line that
was killed, or a machine that lost power, leaves a run that is STARTED for ever, and its place in the queue taken: the
next night would wait for it. So each run holds a lock, which the kernel frees however the process dies, and a sensor
looks every half minute which locks are free.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import dagster as dg

from tokenboard_etl.files import storage_errors
from tokenboard_etl.settings import load_settings

EVERY_SECONDS = 30

_IN_PROCESS = (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING)


@contextmanager
def alive(folder: Path, run_id: str) -> Iterator[None]:
    """Holds the run's lock in `folder`, with the number of this process for people, while the block runs."""
    path, unlocked = _lock_of(folder, run_id), folder / f".{run_id}.{os.getpid()}"
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(unlocked, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            os.write(descriptor, str(os.getpid()).encode())
            unlocked.rename(path)  # nobody sees it before it is locked
        except OSError:
            os.close(descriptor)
            raise
    try:
        yield
    finally:
        with suppress(OSError):  # without its lock the file means nothing
            path.unlink()
        os.close(descriptor)


def end_dead_runs(instance: dg.DagsterInstance, folder: Path) -> list[str]:
    """Records runs as failed whose process has died; returns their ids.

    A run without a lock is left alone: it has not begun yet, or works in another place.
    """
    ended = []
    for path in sorted(folder.glob("*.lock")):
        if not _has_died(path):
            continue
        run = instance.get_run_by_id(path.stem)
        if run and run.status in _IN_PROCESS:
            instance.report_run_failed(
                run, "The process of this run died. Another run of the same work goes on from it."
            )
            ended.append(run.run_id)
        path.unlink(missing_ok=True)
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
