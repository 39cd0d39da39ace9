"""Part `nights`: fifty nights in a row in one process, and what grows meanwhile."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.home import environment, prepare_home
from benchmarks.process import watch
from benchmarks.serving import ROOT, served_world
from benchmarks.sizes import organizations
from benchmarks.systems import held_against
from benchmarks.tables import Table

SETTLING = 5
"""Nights that are left out: the first ones load what they will re-read."""
NEVER_GROWS = ("open files", "temporary files", "parts left")
MEMORY = 1.2
"""What the process holds at the end may be so many times what it held once it had settled."""
A_NIGHT = {"landing MB": 0.5, "warehouse.duckdb MB": 0.5, "reports MB": 0.1, "dagster MB": 5.0}
"""So much a night may add at most. Publications are not held to it: they stay a minute, in which many of these nights
pass.
"""


def run(options: Namespace, folder: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """The nights, day after day, over the small size."""
    if options.nights <= 2 * SETTLING:
        raise SystemExit(f"more than {2 * SETTLING} nights are needed to tell what they add")
    nights, sizes = options.nights, organizations("small", days=options.nights)
    with served_world(sizes, folder / "world") as world:
        home, temporary = folder / "home", folder / "tmp"
        prepare_home(world, home)
        temporary.mkdir()
        told = {**environment(world, home), "TMPDIR": str(temporary)}
        command = [sys.executable, "-m", "benchmarks.many_nights", sizes[0].first_day, str(nights)]
        log = folder / "nights.log"
        watched = watch(command, told, ROOT, log)
        is_exact, _ = held_against(home / "warehouse.duckdb", world.oracles)
    after = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    say(f"nights: {len(after)} in {watched.wall_s:.0f} s")
    return {"rows_a_night": world.rows / nights, "is_exact": is_exact, "after": after}


def exact(result: Mapping[str, Any]) -> bool:
    """Whether all days are exact, memory stays, nothing is left open or lying about that was not there early on, and
    no folder grows faster than it may.
    """
    settled, last = result["after"][SETTLING], result["after"][-1]
    kept = all(last[name] <= settled[name] for name in NEVER_GROWS)
    slow = all(name in last and _growth(result["after"], name) <= most for name, most in A_NIGHT.items())
    return kept and slow and last["memory MB"] <= MEMORY * settled["memory MB"] and bool(result["is_exact"])


def _growth(after: Sequence[Mapping[str, float]], name: str) -> float:
    """What a night adds, once they have settled."""
    return (after[-1].get(name, 0.0) - after[SETTLING].get(name, 0.0)) / (len(after) - 1 - SETTLING)


def ratios(result: Mapping[str, Any]) -> dict[str, float]:
    """The last ten nights over the first ten after settling."""
    found = {}
    for name in ("wall_s", "memory MB"):
        series = [each[name] for each in result["after"]][SETTLING:]
        found[f"nights: last / first, {name}"] = median(series[-10:]) / median(series[:10])
    return found


def tables(result: Mapping[str, Any]) -> list[Table]:
    """What there is early, in the middle and at the end, and what a night adds."""
    after: Sequence[Mapping[str, float]] = result["after"]
    shown = [SETTLING, len(after) // 2, len(after) - 1]
    names = dict.fromkeys(name for each in after for name in each)
    rows = []
    for name in names:
        rows.append(
            [name, *(f"{after[number].get(name, 0.0):,.2f}" for number in shown), f"{_growth(after, name):+.3f}"]
        )
    columns = ["after night", *(str(number + 1) for number in shown), "a night"]
    note = (
        f"One process; each night reads {result['rows_a_night']:,.0f} rows of a new day and four days again, of which "
        "landings keep every byte. Publications stay for a minute, in which a dozen of these nights pass; of nights a "
        "day apart four stay. Dagster's records stay for 400 nights."
    )
    return [Table(f"{len(after)} nights in a row", columns, rows, note)]
