"""Part `slow`: reading a provider that takes 200 ms a page and refuses 2 % of the requests."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from benchmarks.home import COMMAND, environment, prepare_home
from benchmarks.process import watch
from benchmarks.serving import served_world
from benchmarks.stages import work_of_steps
from benchmarks.systems import held_against
from benchmarks.tables import Table, seconds
from benchmarks.world import Size
from tokenboard_etl.http import CONCURRENT_REQUESTS

PAGE_S, REFUSE_EVERY = 0.2, 50


def run(options: Namespace, folder: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """A night, and what the server counted of it: three pages a project, none of which waits for another, and some."""
    size = Size(options.projects, 5, 31)
    behaviour = ["--page-s", str(PAGE_S), "--refuse-every", str(REFUSE_EVERY)]
    with served_world([size], folder / "world", *behaviour) as world:
        home = folder / "home"
        prepare_home(world, home)
        window = ["--from", str(size.dates[0]), "--to", str(size.dates[-1])]
        watch([*COMMAND, "nightly", *window], environment(world, home), home, home / "nightly.log")
        with urlopen(f"http://127.0.0.1:{world.port}/counted") as answer:
            counted = json.loads(answer.read())
        is_exact, _ = held_against(home / "warehouse.duckdb", world.oracles)
    landing = {step: end - start for step, (start, end) in work_of_steps(home / "dagster").items() if "land_" in step}
    took_s = sum(landing.values())
    say(f"slow: {counted['requests']} requests in {took_s:.2f} s, at most {counted['most_under_way']} at once")
    return {**counted, "took_s": took_s, "is_exact": is_exact, "allowed": CONCURRENT_REQUESTS, "page_s": PAGE_S}


def exact(result: Mapping[str, Any]) -> bool:
    """Whether the night was exact and the provider's limits were kept."""
    kept = result["most_under_way"] <= result["allowed"] and not result["repeated_early"]
    return kept and bool(result["is_exact"]) and result["refused"] == result["requests"] // REFUSE_EVERY


def ratios(result: Mapping[str, Any]) -> dict[str, float]:
    """The time over that of pages answered without a gap, as many at once as allowed."""
    return {"slow provider: time / (requests x page time / allowed at once)": result["took_s"] / _least_s(result)}


def tables(result: Mapping[str, Any]) -> list[Table]:
    """What was counted at the server."""
    rows = [
        ["requests", f"{result['requests']:,}"],
        ["refused with 429", str(result["refused"])],
        ["repeated before Retry-After was over", str(result["repeated_early"])],
        ["most under way at once", f"{result['most_under_way']} (allowed: {result['allowed']})"],
        ["seconds of reading", seconds(result["took_s"])],
        ["seconds with no gap at all", seconds(_least_s(result))],
    ]
    note = f"{result['page_s'] * 1000:.0f} ms a page, one request in {REFUSE_EVERY} refused; counted at the server."
    return [Table("A slow provider", ["", "found"], rows, note)]


def _least_s(result: Mapping[str, Any]) -> float:
    return float(result["requests"] * result["page_s"] / result["allowed"])
