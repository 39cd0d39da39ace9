"""Part `compare`: the floor, the peers and our night at each size."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from math import log
from pathlib import Path
from typing import Any

from benchmarks.measured import Measured, Stage
from benchmarks.serving import served_world
from benchmarks.sizes import NAMES, organizations
from benchmarks.systems import DLT, FLOOR, NIGHTLY, compare
from benchmarks.tables import Table, seconds, times

REPEATS = 2
OURS = "nightly without Dagster"
_EXCEPT_WORK = ("start", "dagster")


def run(options: Namespace, folder: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Every process of every size, in the order they ran."""
    found = {}
    for name in options.sizes:
        with served_world(organizations(name), folder / name / "world") as world:
            measured = []
            for each in compare(world, folder / name, options.repeats or REPEATS, options.systems):
                say(f"{name} {each.what}: {each.wall_s:.2f} s, {each.cpu_s:.2f} CPU s, {each.peak_rss_mb} MB")
                measured.append(asdict(each))
        found[name] = {"tenants": sum(size.projects for size in world.sizes), "rows": world.rows, "runs": measured}
    return found


def exact(result: Mapping[str, Any]) -> bool:
    """Whether our night was exact every time."""
    return all(each["exact"] for size in result.values() for each in size["runs"] if each["what"] == NIGHTLY)


def ratios(result: Mapping[str, Any]) -> dict[str, float]:
    """Ours over the floor's and over dlt's, at each size; and what a night holds."""
    found = {}
    for name, size in result.items():
        best = _best(size["runs"])
        for other in (FLOOR, DLT):
            if NIGHTLY not in best or other not in best:
                continue
            for system in (NIGHTLY, OURS):
                for unit, ours, theirs in zip(("wall", "CPU"), best[system], best[other], strict=True):
                    found[f"{name}: {system} / {other}, {unit}"] = ours / theirs
        if NIGHTLY in best and FLOOR in best:
            found[f"{name}: (nightly - 3 s) / floor, wall"] = (best[NIGHTLY][0] - 3) / best[FLOOR][0]
        if NIGHTLY in best:
            peaks = [each["peak_rss_mb"] for each in size["runs"] if each["what"] == NIGHTLY]
            found[f"{name}: peak of a night, GB"] = min(peaks) / 1024
    if exponent := _exponent(result):
        found["exponent of time over rows"] = exponent
    return found


def tables(result: Mapping[str, Any]) -> list[Table]:
    """Systems, then our stages."""
    rows, stages = [], []
    for name, size in result.items():
        best = _best(size["runs"])
        for what in dict.fromkeys(each["what"] for each in size["runs"]):
            rows += _lines(name, size, what, best)
        nights = [_night(each) for each in size["runs"] if each["what"] == NIGHTLY]
        if nights:
            night = min(nights, key=lambda each: each.wall_s)
            stages += [_stage(name, stage, spent, size["rows"]) for stage, spent in night.stages.items()]
        others = [each for each in size["runs"] if each["what"] == FLOOR]
        if others:
            floor = min(others, key=lambda each: each["wall_s"])
            for stage, spent in floor["stages"].items():
                stages.append(_stage(name, f"(floor) {stage}", Stage(**spent), size["rows"]))
    exponent = _exponent(result)
    note = (
        f"Time grows with the {exponent:.2f}th power of rows, from the smallest to the largest size."
        if exponent
        else ""
    )
    columns = ["size, system", "tenants", "rows", "wall s", "CPU s", "peak MB", "rows/s", "x floor", "off by USD"]
    staged = ["size, stage", "wall s", "CPU s", "most MB", "rows/s"]
    return [
        Table("A month, from the providers' answers to bills", columns, rows, _SAID),
        Table("Where a night's time goes", staged, stages, note),
    ]


_SAID = (
    "The smallest of all repeats, each a whole process; rows are those of costs and tokens. `off by` sums what each "
    "system's days differ from the oracle's by: `exact` is equal to the last digit. Ours also keeps every byte with "
    "its checksum, checks it, publishes a second file and writes a statement per tenant, and can do all of it again."
)


def _best(runs: Sequence[Mapping[str, Any]]) -> dict[str, tuple[float, float]]:
    """The smallest wall and CPU seconds of each system, and of our night without what is Dagster's."""
    found: dict[str, list[tuple[float, float]]] = {}
    for each in runs:
        found.setdefault(each["what"], []).append((each["wall_s"], each["cpu_s"]))
        if each["what"] == NIGHTLY:
            found.setdefault(OURS, []).append(_night(each).beyond("dagster"))
    return {what: (min(wall for wall, _ in all_), min(cpu for _, cpu in all_)) for what, all_ in found.items()}


def _night(each: Mapping[str, Any]) -> Measured:
    return Measured(**{**each, "stages": {name: Stage(**stage) for name, stage in each["stages"].items()}})


def _lines(name: str, size: Mapping[str, Any], what: str, best: Mapping[str, tuple[float, float]]) -> list[list[str]]:
    mine = [each for each in size["runs"] if each["what"] == what]
    floor = best.get(FLOOR)
    memory = str(min(each["peak_rss_mb"] for each in mine))
    off = "exact" if all(each["exact"] for each in mine) else max((each["off_usd"] for each in mine), key=float)
    shown = [what, OURS] if what == NIGHTLY else [what]
    return [
        [
            f"{name}, {system}",
            f"{size['tenants']:,}",
            f"{size['rows']:,}",
            seconds(best[system][0]),
            seconds(best[system][1]),
            memory if system == what else "",
            f"{size['rows'] / best[system][0]:,.0f}",
            times(best[system][0] / floor[0]) if floor else "",
            _short(off) if system == what else "",
        ]
        for system in shown
    ]


def _short(off: str) -> str:
    return off if off == "exact" else f"{float(off):.1e}"


def _stage(name: str, stage: str, spent: Stage, rows: int) -> list[str]:
    return [
        f"{name}, {stage}",
        seconds(spent.wall_s),
        "" if spent.cpu_s is None else seconds(spent.cpu_s),
        "" if spent.rss_mb is None else str(spent.rss_mb),
        "" if stage in _EXCEPT_WORK or spent.wall_s < 0.01 else f"{rows / spent.wall_s:,.0f}",
    ]


def _exponent(result: Mapping[str, Any]) -> float | None:
    """Of the time of a night's own work (its start and Dagster's share left out) over rows, at the usual sizes."""
    points = []
    for size in (result[name] for name in NAMES if name in result):
        nights = [_night(each).beyond(*_EXCEPT_WORK)[0] for each in size["runs"] if each["what"] == NIGHTLY]
        if nights:
            points.append((size["rows"], min(nights)))
    if len(points) < 2:
        return None
    (few, short), (many, long) = min(points), max(points)
    return log(long / short) / log(many / few)
