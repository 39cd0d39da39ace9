"""Part `year`: the nightly re-read of four days on a year of history, against the same on a month of it."""

from __future__ import annotations

import shutil
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.home import COMMAND, environment, prepare_home, tokenboard
from benchmarks.measured import Measured
from benchmarks.process import watch
from benchmarks.serving import World, served_world
from benchmarks.sizes import organizations
from benchmarks.stages import stages_of
from benchmarks.systems import held_against
from benchmarks.tables import Table, seconds, times

FIRST_DAY, DAYS = "2025-11-01", 365
HISTORIES = {"a month": 31, "a year": DAYS - 1}
"""In days."""

AT_ONCE = 92
"""Days that are read at once to make a history."""

_AT = {"medium": "medium ", "large": "large "}


def run(options: Namespace, folder: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Homes with more and less history, made by the product itself, then the same night on both."""
    sizes = organizations(options.year_size, days=DAYS, first_day=FIRST_DAY)
    nights = []
    with served_world(sizes, folder / "world") as world:
        prepare_home(world, folder / "prepared")
        for history, days in HISTORIES.items():
            before, home = folder / "before", folder / "home"
            shutil.copytree(folder / "prepared", before)
            _read(world, before, sizes[0].dates[-1 - days : -1])
            say(f"year: {history} of history is read")
            for number in range(options.repeats or 1):
                shutil.copytree(before, home)
                watched = watch([*COMMAND, "nightly"], environment(world, home), home, home / "nightly.log")
                measured = Measured.of(history, watched, world.rows * 5 // DAYS, True, stages=stages_of(home, watched))
                say(f"year: night {number + 1} on {history}: {measured.wall_s:.2f} s")
                nights.append(asdict(measured))
                is_exact, _ = held_against(home / "warehouse.duckdb", world.oracles)
                shutil.rmtree(home)
            shutil.rmtree(before)
    return {"size": options.year_size, "rows": world.rows, "is_exact": is_exact, "nights": nights}


def exact(result: Mapping[str, Any]) -> bool:
    """Whether the whole year is exact after it was re-read."""
    return bool(result["is_exact"])


def ratios(result: Mapping[str, Any]) -> dict[str, float]:
    """The fastest night on a year over the fastest on a month."""
    least = {history: _least(result, history) for history in HISTORIES}
    return {
        f"night on {_AT.get(result['size'], '')}year / on month, {unit}": least["a year"][unit] / least["a month"][unit]
        for unit in ("wall_s", "cpu_s", "peak_rss_mb")
    }


def tables(result: Mapping[str, Any]) -> list[Table]:
    """Both nights, stage by stage."""
    chosen = {
        history: min((each for each in result["nights"] if each["what"] == history), key=lambda each: each["wall_s"])
        for history in HISTORIES
    }
    month, year = chosen.values()
    rows = [
        [
            "all of the process",
            seconds(month["wall_s"]),
            seconds(year["wall_s"]),
            times(year["wall_s"] / month["wall_s"]),
        ]
    ]
    rows += [
        [name, seconds(stage["wall_s"]), seconds(year["stages"][name]["wall_s"]), _ratio(stage, year["stages"][name])]
        for name, stage in month["stages"].items()
    ]
    rows.append(["peak MB", str(month["peak_rss_mb"]), str(year["peak_rss_mb"]), ""])
    note = f"The {result['size']} size; the year has {result['rows']:,} rows. A night reads a new day and four again."
    return [Table("A night on a year of history", ["wall s", *HISTORIES, ""], rows, note)]


def _ratio(month: Mapping[str, float], year: Mapping[str, float]) -> str:
    return times(year["wall_s"] / month["wall_s"]) if month["wall_s"] > 0.05 else ""


def _least(result: Mapping[str, Any], history: str) -> dict[str, float]:
    nights = [each for each in result["nights"] if each["what"] == history]
    return {unit: min(each[unit] for each in nights) for unit in ("wall_s", "cpu_s", "peak_rss_mb")}


def _read(world: World, home: Path, days: Sequence[date]) -> None:
    for number in range(0, len(days), AT_ONCE):
        first, last = days[number], days[number : number + AT_ONCE][-1]
        night = world.sizes[0].night - (world.sizes[0].dates[-1] - last)
        tokenboard(["nightly", "--from", str(first), "--to", str(last)], environment(world, home, night), home)
