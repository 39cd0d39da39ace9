"""Where a nightly's time goes: Dagster's own record of the run says when each step did what.

A step's work is from its start to the first thing it hands to Dagster; all our steps do their work before they hand
over anything. What is neither a step's work nor our own start is Dagster's: its import, its definitions, its records.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from benchmarks.process import Watched, watch

STAGES = {
    "land": "land", "load": "load", "policy": "model", "ops": "model", "models": "model", "identities": "check",
    "billing": "check", "published": "publish", "reports": "report",
}  # fmt: skip
"""The first word of a step's name, and its stage."""

_OURS = "import tokenboard_etl.cli, tokenboard_etl.closing, tokenboard_etl.extraction, tokenboard_etl.warehouse.load"


@dataclass
class Stage:
    """`rss_mb` is the most that was held meanwhile."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    rss_mb: int = 0

    def add(self, watched: Watched, start: float, end: float) -> None:
        self.wall_s += end - start
        self.cpu_s += watched.cpu_between(start, end)
        self.rss_mb = max(self.rss_mb, watched.rss_between(start, end))


def stages_of(home: Path, watched: Watched) -> dict[str, Stage]:
    """The stages of the newest run recorded under a home, and `dagster`: all of the process that is none of them."""
    found: dict[str, Stage] = {}
    for step, (start, end) in _work_of_steps(home / "dagster").items():
        found.setdefault(STAGES[step.partition("_")[0]], Stage()).add(watched, start, end)
    rest = Stage(watched.wall_s, watched.cpu_s, watched.rss_between(watched.began, watched.ended))
    for stage in found.values():
        rest.wall_s, rest.cpu_s = rest.wall_s - stage.wall_s, rest.cpu_s - stage.cpu_s
    own = _own_start(home)
    rest.wall_s, rest.cpu_s = rest.wall_s - own.wall_s, rest.cpu_s - own.cpu_s
    return {"start": own, **found, "dagster": rest}


def _own_start(home: Path) -> Stage:
    """A process that only loads what a nightly needs besides Dagster."""
    command, root = [sys.executable, "-c", _OURS], Path(__file__).parents[1]
    watched = watch(command, os.environ, root, home / "start.log")
    return Stage(watched.wall_s, watched.cpu_s, watched.peak_rss_mb)


def _work_of_steps(dagster_home: Path) -> Mapping[str, tuple[float, float]]:
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
