"""Runs a job in this process, for the command line and tests: the same job the schedules run."""

import logging
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import dagster as dg

from assets.definitions import definitions
from assets.extraction import ACCEPT_COLLAPSE
from assets.partitions import range_tags
from assets.resources import Surroundings
from tokenboard_etl import errors
from tokenboard_etl.errors import CheckFailed, TokenboardError
from tokenboard_etl.files import write_atomically
from tokenboard_etl.periods import Month, Window
from tokenboard_etl.settings import Settings

log = logging.getLogger("tokenboard.run")

INSTANCE_CONFIG = """\
# Written once; yours to change.
telemetry: {enabled: false}
concurrency:
  pools: {default_limit: 1, granularity: run}
  runs: {max_concurrent_runs: 2}
run_monitoring: {enabled: true, poll_interval_seconds: 30, free_slots_after_run_end_seconds: 60}
"""

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


def run_month_close(
    settings: Settings,
    month: Month,
    instance: dg.DagsterInstance | None = None,
    *,
    tenant_id: str | None = None,
    accepted_reason: str | None = None,
) -> None:
    """Issues the month's invoices and publishes."""
    config = {"tenant_id": tenant_id, "accepted_reason": accepted_reason}
    _run(
        "month_close",
        settings,
        instance,
        partition_key=str(month.first),
        config={"ops": {"close_month": {"config": config}}},
    )


def instance_for(home: Path) -> dg.DagsterInstance:
    """The Dagster instance of a folder; its settings file is written if there is none."""
    if not (home / "dagster.yaml").exists():
        write_atomically(home / "dagster.yaml", INSTANCE_CONFIG.encode())
    return dg.DagsterInstance.from_config(str(home))


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
    with nullcontext(instance) if instance else instance_for(settings.dagster_path) as recorder:
        job = definitions(Surroundings(settings)).resolve_job_def(name)
        result = job.execute_in_process(
            instance=recorder,
            tags=dict(tags or {}),
            partition_key=partition_key,
            run_config={**_QUIET, **(config or {})},
            raise_on_error=False,
        )
    for evaluation in result.get_asset_check_evaluations():
        if not evaluation.passed and evaluation.severity is dg.AssetCheckSeverity.WARN:
            log.warning("%s", evaluation.description)
    if result.success:
        return
    failed = [
        str(evaluation.description)
        for evaluation in result.get_asset_check_evaluations()
        if not evaluation.passed and evaluation.severity is dg.AssetCheckSeverity.ERROR
    ]
    if failed:
        raise CheckFailed(
            f"{len(failed)} blocking check(s) failed, so nothing was published: {' | '.join(failed)}. "
            "The published file is the one of before."
        )
    raise _as_ours(next(event for event in result.all_events if event.is_step_failure))


def _as_ours(event: dg.DagsterEvent) -> Exception:
    """The exception a step ended with, from what Dagster kept of it."""
    data = event.step_failure_data.error
    while data and data.cause:
        data = data.cause
    kind = getattr(errors, data.cls_name or "", None) if data else None
    message = data.message.partition(": ")[2].strip() if data else "a step failed without a word"
    if isinstance(kind, type) and issubclass(kind, TokenboardError):
        error = kind.__new__(kind)
        Exception.__init__(error, message)
        return error
    return RuntimeError(f"step {event.step_key} failed: {data.to_string() if data else message}")
