"""Runs the parts of the suite, shows them as tables, writes the page, and holds the ratios against the baseline.

The page is written when there are results of all parts, perhaps some of an earlier run (test-output/bench.json).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console

from benchmarks import baseline, closing, comparison, nights, publishing, slow, year
from benchmarks.page import write_page
from benchmarks.serving import ROOT
from benchmarks.sizes import ALL_NAMES, NAMES
from benchmarks.systems import SYSTEMS
from benchmarks.tables import Table

RESULTS = ROOT / "test-output" / "bench.json"


class Part(Protocol):
    """A module of the suite. What `run` returns is plain JSON."""

    def run(self, options: argparse.Namespace, folder: Path, say: Callable[[str], None]) -> dict[str, Any]: ...
    def exact(self, result: Mapping[str, Any]) -> bool: ...
    def ratios(self, result: Mapping[str, Any]) -> dict[str, float]: ...
    def tables(self, result: Mapping[str, Any]) -> list[Table]: ...


PARTS: Mapping[str, Part] = {
    "compare": comparison, "close": closing, "slow": slow, "publish": publishing, "nights": nights, "year": year,
}  # fmt: skip


def measure(names: Sequence[str], options: argparse.Namespace, console: Console) -> tuple[dict[str, Any], list[str]]:
    """The parts' results by name, and what went wrong, in sentences. A part has a folder of its own."""
    found, wrong = {}, []
    for name in names:
        began = time.monotonic()
        try:
            with tempfile.TemporaryDirectory() as folder:
                result = PARTS[name].run(options, Path(folder), lambda words: console.print(words, highlight=False))
        except SystemExit as failure:  # a process that was measured failed; the other parts can still be measured
            wrong.append(f"{name} could not be measured: {failure}")
            console.print(wrong[-1], style="bold red", highlight=False)
            continue
        if not PARTS[name].exact(result):
            wrong.append(f"{name}: not exact, or more was left or asked than may be; see its table")
        took_s = round(time.monotonic() - began)
        found[name] = {"date": str(datetime.now(UTC).date()), "took_s": took_s, "result": result}
        kept(found)
        console.print(f"{name} took {took_s} s", highlight=False)
    return found, wrong


def kept(found: Mapping[str, Any]) -> dict[str, Any]:
    """These results and the newest ones of the parts that were not measured now."""
    RESULTS.parent.mkdir(exist_ok=True)
    known: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps(known | dict(found), indent=1))
    return {name: (known | dict(found))[name] for name in PARTS if name in known or name in found}


def main() -> None:
    """Prints each process as it ends, then the tables. Status 1: something was not exact, failed, or became slow."""
    options = _options()
    console = Console(width=None if sys.stdout.isatty() else 160)
    found, wrong = measure(options.parts or ([] if options.accept else list(PARTS)), options, console)
    everything = kept(found)
    if options.accept:
        baseline.accept(_ratios(everything))
    for name, part in found.items():
        for table in PARTS[name].tables(part["result"]):
            console.print(table.for_terminal())
    before = baseline.accepted()
    console.print(baseline.table(_ratios(found or everything), before).for_terminal())
    wrong += baseline.exceeded(_ratios(found), before)
    if everything.keys() == PARTS.keys():
        parts = {name: (part["date"], PARTS[name].tables(part["result"])) for name, part in everything.items()}
        write_page(baseline.table(_ratios(everything), before), parts)
    for words in wrong:
        console.print(words, style="bold red", highlight=False)
    sys.exit(1 if wrong else 0)


def _ratios(parts: Mapping[str, Any]) -> dict[str, float]:
    return {name: value for part in parts for name, value in PARTS[part].ratios(parts[part]["result"]).items()}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(PARTS)}; by default all")
    parser.add_argument(
        "--accept",
        action="store_true",
        help="hold later runs against the newest results; measures only PARTs that are named",
    )
    parser.add_argument("--sizes", nargs="+", choices=ALL_NAMES, default=NAMES)
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=SYSTEMS)
    parser.add_argument("--repeats", type=int, help="of each system at each size, and of each night on a year")
    parser.add_argument("--tenants", type=int, default=5000, help="whose month is closed")
    parser.add_argument("--projects", type=int, default=200, help="of the slow provider; up to 200 are all asked about")
    parser.add_argument("--publish-gb", type=float, default=1.0, help="size of the file that is published")
    parser.add_argument("--nights", type=int, default=50, help="how many are run in a row")
    parser.add_argument("--year-size", choices=NAMES, default="small", help="of the year of history")
    return parser.parse_args()
