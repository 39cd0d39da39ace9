"""Runs a job in this process, for the command line and tests: the same job the schedules run."""

import fcntl
import io
import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stderr
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_shared.error import SerializableErrorInfo

from assets.definitions import definitions
from assets.extraction import ACCEPT_COLLAPSE, LANDED_WHOLE
from assets.history import forget_old_runs
from assets.liveness import end_dead_runs
from assets.partitions import range_tags
from assets.resources import Surroundings
from assets.run_records import instance_of
from tokenboard_etl.errors import RecordsUnavailable, StorageFailed, TokenboardError, error_named, is_ours
from tokenboard_etl.files import FULL, READ_ONLY, storage_errors, storage_failed, write_atomically
from tokenboard_etl.periods import Month, Window
from tokenboard_etl.settings import Settings
from tokenboard_etl.warehouse.checks import violations_found

log = logging.getLogger("tokenboard.run")

INSTANCE_CONFIG = """\
# Written once; yours to change.
telemetry: {enabled: false}
compute_logs:  # what steps print is the command line's; a copy of it in files would be a second place to leak
  module: dagster._core.storage.noop_compute_log_manager
  class: NoOpComputeLogManager
retention:  # of ticks; runs are forgotten by the sensor old_runs and before each command
  schedule: {purge_after_days: 90}
  sensor: {purge_after_days: {skipped: 7, failure: 90, success: 90}}
concurrency:
  pools: {default_limit: 1, granularity: run}
  runs: {max_concurrent_runs: 2}
run_monitoring: {enabled: true, poll_interval_seconds: 30, free_slots_after_run_end_seconds: 60}
run_retries: {enabled: true, max_retries: 2, retry_on_asset_or_op_failure: false}  # only of runs whose process died
"""

_REFUSALS = {
    re.compile(r"disk is full|disk I/O error|No space left on device"): FULL,
    re.compile(r"attempt to write a readonly database"): READ_ONLY,
    re.compile(r"unable to open database file"): "no file can be made there (is the disk full, or read-only?)",
}
"""How SQLite, which Dagster records runs in, says it."""

_UNREACHABLE = re.compile(r"psycopg\d?\.|dagster_postgres\.")
"""Whose errors are heard where Dagster was told to record runs in Postgres, and that is gone."""

_ASKED_AGAIN = "Retrying failed database"
"""How Dagster's log begins to say that it tries again; the driver's words follow."""

_INTERRUPTS = ("DagsterExecutionInterruptedError", "KeyboardInterrupt")

_QUIET: Mapping[str, Any] = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def run_nightly(
    settings: Settings,
    window: Window,
    instance: dg.DagsterInstance | None = None,
    *,
    accept_collapse: str | None = None,
) -> None:
    """Extracts, loads, models, checks and publishes a window.

    The run is recorded in `instance`, or in the one under TOKENBOARD_HOME. `accept_collapse` is the reason why
    settled figures that collapsed are right.
    """
    accepted = {ACCEPT_COLLAPSE: accept_collapse} if accept_collapse else {}
    _run("nightly", settings, instance, tags={**range_tags(window), **accepted})


def run_intraday(settings: Settings, instance: dg.DagsterInstance | None = None) -> None:
    """Reads the last minutes, estimates and publishes them; leaves that to a later run while another one writes."""
    _run("intraday", settings, instance)


def run_month_close(
    settings: Settings,
    month: Month,
    instance: dg.DagsterInstance | None = None,
    *,
    tenant_id: str | None = None,
    accepted_reason: str | None = None,
    accepted_by: str | None = None,
) -> None:
    """Issues the month's invoices and publishes."""
    config = {"tenant_id": tenant_id, "accepted_reason": accepted_reason, "accepted_by": accepted_by}
    _run(
        "month_close",
        settings,
        instance,
        partition_key=str(month.first),
        config={"ops": {"close_month": {"config": config}}},
    )


def run_rebuild(settings: Settings, instance: dg.DagsterInstance | None = None) -> None:
    """Rebuilds every derived table from landings, checks and publishes."""
    _run("rebuild", settings, instance)


def run_provision_tenant(
    settings: Settings, new_tenant: Mapping[str, Any], instance: dg.DagsterInstance | None = None
) -> None:
    """Registers a tenant and makes what it is to have; `new_tenant` are the fields of NewTenant (provisioning.py)."""
    _run("provision_tenant", settings, instance, config={"ops": {"make_tenant": {"config": dict(new_tenant)}}})


def run_provision_pending(
    settings: Settings, tenant_ids: Sequence[str] | None = None, instance: dg.DagsterInstance | None = None
) -> None:
    """Completes what is pending for these tenants, or for all."""
    config = {"tenant_ids": None if tenant_ids is None else list(tenant_ids)}
    _run("provision_pending", settings, instance, config={"ops": {"complete_tenants": {"config": config}}})


def instance_for(home: Path) -> dg.DagsterInstance:
    """The Dagster instance of a folder; its settings file and databases are made if there are none.

    Under a lock: two processes that create SQLite's tables at once fail each other.
    """
    with storage_errors(home):
        home.mkdir(parents=True, exist_ok=True)
        lock = (home / ".creation.lock").open("w")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "dagster.yaml").exists():
            write_atomically(home / "dagster.yaml", INSTANCE_CONFIG.encode())
        instance = instance_of(home)
        instance.get_runs_count()
        instance.all_asset_keys()
    return instance


def _run(
    name: str,
    settings: Settings,
    instance: dg.DagsterInstance | None,
    *,
    tags: Mapping[str, str] | None = None,
    partition_key: str | None = None,
    config: Mapping[str, Any] | None = None,
) -> None:
    """Executes a job to its end; raises the error of the first step that failed, or the checks that did."""
    with (
        _own_words_only(),
        lost_records_named(settings.dagster_path),
        nullcontext(instance) if instance else instance_for(settings.dagster_path) as recorder,
    ):
        end_dead_runs(recorder, settings.running_path)  # where no daemon runs, nobody else does
        forget_old_runs(recorder)
        job = definitions(Surroundings(settings)).resolve_job_def(name)
        result = job.execute_in_process(
            instance=recorder,
            tags=dict(tags or {}),
            partition_key=partition_key,
            run_config={**_QUIET, **(config or {})},
            raise_on_error=False,
        )
        _raise_failure(result)


def _raise_failure(result: dg.ExecuteInProcessResult) -> None:
    for evaluation in result.get_asset_check_evaluations():
        if not evaluation.passed and not evaluation.blocking:
            log.warning("%s", evaluation.description)
    if result.success:
        return
    failed = [
        str(evaluation.description)
        for evaluation in result.get_asset_check_evaluations()
        if not evaluation.passed
        and evaluation.blocking
        and evaluation.check_name != LANDED_WHOLE  # the load that follows fails with its cause
    ]
    if failed:
        raise violations_found(failed)
    if failure := next((event for event in result.all_events if event.is_step_failure), None):
        raise _as_ours(failure.step_failure_data.error, f"step {failure.step_key}")
    ended = next((event for event in result.all_events if event.is_run_failure), None)
    if ended is None or ended.job_failure_data.error is None:  # no step failed and no check did: it was stopped
        raise KeyboardInterrupt
    raise _as_ours(ended.job_failure_data.error, "the run")  # between two steps, where Dagster records it


@contextmanager
def lost_records_named(folder: Path) -> Iterator[None]:
    """Where Dagster cannot record a run: one error of ours instead of SQLite's or of Postgres' driver."""
    try:
        yield
    except TokenboardError:
        raise
    except Exception as error:
        said = "\n".join([f"{type(error).__module__}.{error}", *getattr(error, "__notes__", ())])
        if _UNREACHABLE.search(said):
            raise RecordsUnavailable(
                f"The run cannot be recorded: the Postgres that {folder / 'dagster.yaml'} names does not answer, or "
                "was restarted. Nothing half-done is used; see that it is up and run the same command again."
            ) from error
        if reason := next((reason for words, reason in _REFUSALS.items() if words.search(said)), None):
            if reason == FULL and os.statvfs(folder).f_flag & os.ST_RDONLY:  # an I/O error may be either
                reason = READ_ONLY
            raise storage_failed(folder, reason) from error
        raise


@contextmanager
def _own_words_only() -> Iterator[None]:
    """Keeps what Dagster and asyncio say on stderr when a run is stopped or cannot be recorded: ours says it."""
    said = io.StringIO()
    logging.root.addFilter(_in_our_words)
    try:
        with redirect_stderr(said):
            yield
    except (KeyboardInterrupt, StorageFailed, RecordsUnavailable):
        raise
    except BaseException as error:
        if type(error).__name__ in _INTERRUPTS:
            raise KeyboardInterrupt from None
        sys.stderr.write(said.getvalue())
        raise
    finally:
        logging.root.removeFilter(_in_our_words)
    sys.stderr.write(said.getvalue())


def _in_our_words(record: logging.LogRecord) -> bool:
    """Whether a record of the root logger is let through. That of another try at Dagster's database is ours to say."""
    if not str(record.msg).startswith(_ASKED_AGAIN):
        return True
    log.warning("Dagster's database does not answer; it is asked again")
    return False


def _as_ours(data: SerializableErrorInfo | None, what: str) -> Exception:
    """The exception something ended with, from what Dagster kept of it: ours, or the deepest cause of a defect."""
    found = data
    while data:
        found = data
        if data.cls_name in _INTERRUPTS:
            raise KeyboardInterrupt
        if is_ours(data.cls_name):
            error: Exception = error_named(str(data.cls_name), _message(data))
            break
        data = data.cause
    else:
        error = RuntimeError(f"{what} failed: {_message(found) if found else 'without a word'}")
    if found:
        error.add_note(found.to_string())
    return error


def _message(data: SerializableErrorInfo) -> str:
    """Dagster keeps "module.Class: message" with a line end."""
    return str(data.message).partition(": ")[2].strip()
