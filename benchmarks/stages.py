"""Where a nightly's time goes: Dagster's own record of the run says when each step did what.

A step's work is from its start to the first thing it hands to Dagster; all our steps do their work before they hand
over anything. What is neither a step's work nor our own start is Dagster's: its import, its definitions, its records.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import dagster as dg

from benchmarks.measured import Stage
from benchmarks.process import Watched, watch

STAGES = {
    "land": "land", "load": "load", "policy": "model", "ops": "model", "models": "model", "identities": "check",
    "billing": "check", "close": "close", "published": "publish", "reports": "report",
}  # fmt: skip
"""The first word of a step's name, and its stage."""

_OURS = "import tokenboard_etl.cli, tokenboard_etl.closing, tokenboard_etl.extraction, tokenboard_etl.warehouse.load"


def stages_of(home: Path, watched: Watched) -> dict[str, Stage]:
    """The stages of the newest run recorded under a home, and `dagster`: all of the process that is none of them."""
    found = {"start": _own_start(home)}
    worked = work_of_steps(home / "dagster")
    for step in sorted(worked, key=lambda each: list(STAGES).index(each.partition("_")[0])):
        start, end = worked[step]
        stage, before = STAGES[step.partition("_")[0]], found.get(STAGES[step.partition("_")[0]], Stage(0, 0, 0))
        found[stage] = Stage(
            before.wall_s + end - start,
            (before.cpu_s or 0) + watched.cpu_between(start, end),
            max(before.rss_mb or 0, watched.rss_between(start, end)),
        )
    rest = Stage(
        watched.wall_s - sum(stage.wall_s for stage in found.values()),
        watched.cpu_s - sum(stage.cpu_s or 0 for stage in found.values()),
        watched.rss_between(watched.began, watched.ended),
    )
    return {**found, "dagster": rest}


def _own_start(home: Path) -> Stage:
    """A process that only loads what a nightly needs besides Dagster."""
    command, root = [sys.executable, "-c", _OURS], Path(__file__).parents[1]
    watched = watch(command, os.environ, root, home / "start.log")
    return Stage(watched.wall_s, watched.cpu_s, watched.peak_rss_mb)


def work_of_steps(dagster_home: Path) -> Mapping[str, tuple[float, float]]:
    """From when until when (Unix time) each step of the newest run worked."""
    with dg.DagsterInstance.from_config(str(dagster_home)) as instance:
        run = instance.get_run_records(limit=1)[0].dagster_run.run_id
        began, handed_over = dict[str, float](), dict[str, float]()
        for entry in instance.all_logs(run):
            event, step = entry.dagster_event, entry.step_key
            if event is None or step is None:
                continue
            if event.event_type is dg.DagsterEventType.STEP_START:
                began[step] = entry.timestamp
            elif event.event_type in _HANDED_OVER:
                handed_over.setdefault(step, entry.timestamp)
    return {step: (start, handed_over[step]) for step, start in began.items()}


_HANDED_OVER = {
    dg.DagsterEventType.STEP_OUTPUT,
    dg.DagsterEventType.ASSET_MATERIALIZATION,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
}
