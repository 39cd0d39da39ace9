"""A backfill that is killed and repeated leaves the tables of one that was not, and downloads no page twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.kills import PAGES, RECORDS, STAGES, Kills, Undisturbed, run_campaign
from chaos.report import Line, Report
from tokenboard_etl.providers.sandbox.server import RunningSandbox

SAMPLE, FULL = 11, 20
"""Seeds."""


def backfills_are_killed(
    kills: Kills, folder: Path, sandbox: RunningSandbox, undisturbed: Undisturbed, report: Report
) -> None:
    run_campaign(kills, folder, sandbox, undisturbed)
    where = ", ".join(f"{step} {count}" for step, count in sorted(kills.steps.items()))
    report.append(
        Line(f"kill -9, seed {kills.seed}", kills.rounds, len(kills.failures), f"{kills.steps.total()} kills: {where}")
    )
    assert kills.failures == []


@pytest.mark.slow
def test_a_backfill_killed_twice_is_as_good_as_one_left_alone(
    tmp_path: Path, sandbox: RunningSandbox, undisturbed: Undisturbed, report: Report
) -> None:
    """In the middle of a landing, and then where a run is recorded but has hardly started."""
    kills = Kills(seed=SAMPLE, enough=2, first=(PAGES, RECORDS))
    backfills_are_killed(kills, tmp_path, sandbox, undisturbed, report)


@pytest.mark.chaos
def test_backfills_killed_25_times_are_as_good_as_one_left_alone(
    tmp_path: Path, sandbox: RunningSandbox, undisturbed: Undisturbed, report: Report
) -> None:
    backfills_are_killed(Kills(seed=FULL, enough=25, stages=STAGES), tmp_path, sandbox, undisturbed, report)
