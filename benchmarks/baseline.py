"""What the ratios were when they were last accepted, and what they should come to.

Ratios move with the machine less than seconds do, but they do move: the gate is for what became half as slow again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from benchmarks.tables import Table

BASELINE = Path(__file__).with_name("baseline.json")
MARGIN = 1.6
"""A ratio may be so many times what was accepted."""

GOALS = {
    "large: nightly / floor, wall": 2.0,
    "large: nightly / dlt, wall": 1.0,
    "large: peak of a night, GB": 1.0,
    "medium: (nightly - 3 s) / floor, wall": 2.5,
    "exponent of time over rows": 1.0,
    "close: seconds to issue and write 1,000 invoices": 1.0,
    "publishing / copying": 1.5,
    "slow provider: time / (requests x page time / allowed at once)": 1.1,
    "nights: last / first, wall_s": 1.1,
    "nights: last / first, memory MB": 1.1,
    "night on year / on month, wall_s": 1.1,
}
"""Where we want to be; not what fails the run."""


def accepted() -> dict[str, float]:
    """The committed ratios."""
    found: dict[str, float] = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    return found


def accept(ratios: Mapping[str, float]) -> None:
    """Makes these the ones to compare with; those that were not measured stay."""
    merged = accepted() | {name: round(value, 3) for name, value in ratios.items()}
    BASELINE.write_text(json.dumps(dict(sorted(merged.items())), indent=1) + "\n")


def exceeded(ratios: Mapping[str, float], before: Mapping[str, float]) -> list[str]:
    """What is beyond its margin, in sentences."""
    return [
        f"{name} is {value:.2f}; {before[name]:.2f} was accepted, and up to {before[name] * MARGIN:.2f} passes"
        for name, value in ratios.items()
        if name in before and value > before[name] * MARGIN
    ]


def table(ratios: Mapping[str, float], before: Mapping[str, float]) -> Table:
    """Every ratio beside what was accepted and what it should come to."""
    rows = [
        [name, f"{value:.2f}", f"{before[name]:.2f}" if name in before else "", *_goal(name, value)]
        for name, value in ratios.items()
    ]
    note = f"`make bench` fails where a ratio is more than {MARGIN} times the accepted one."
    return Table("Ratios", ["ratio", "measured", "accepted", "goal", ""], rows, note)


def _goal(name: str, value: float) -> list[str]:
    goal = GOALS.get(name)
    return ["", ""] if goal is None else [f"{goal:.1f}", "met" if value <= goal * 1.005 else "not met"]
