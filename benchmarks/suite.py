"""Runs the parts of the suite, shows them as tables, writes the page, and holds the ratios against the baseline."""

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

from benchmarks import comparison
from benchmarks.serving import ROOT
from benchmarks.sizes import NAMES
from benchmarks.systems import DLT, FLOOR, NIGHTLY, PANDAS
from benchmarks.tables import Table

RESULTS = ROOT / "test-output" / "bench.json"


class Part(Protocol):
    """A module of the suite. What `run` returns is plain JSON."""

    def run(self, options: argparse.Namespace, folder: Path, say: Callable[[str], None]) -> dict[str, Any]: ...
    def exact(self, result: Mapping[str, Any]) -> bool: ...
    def ratios(self, result: Mapping[str, Any]) -> dict[str, float]: ...
    def tables(self, result: Mapping[str, Any]) -> list[Table]: ...


PARTS: Mapping[str, Part] = {"compare": comparison}


def measure(names: Sequence[str], options: argparse.Namespace, console: Console) -> dict[str, Any]:
    """The parts' results by name. A folder of its own for each, gone afterwards."""
    found = {}
    for name in names:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            result = PARTS[name].run(options, Path(folder), lambda words: console.print(words, highlight=False))
        found[name] = {
            "date": str(datetime.now(UTC).date()),
            "took_s": round(time.monotonic() - began),
            "result": result,
        }
        RESULTS.parent.mkdir(exist_ok=True)
        known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        RESULTS.write_text(json.dumps(known | found, indent=1))
    return found


def main() -> None:
    """Prints each process as it ends, then the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help=f"some of {', '.join(PARTS)}; by default all")
    parser.add_argument("--sizes", nargs="+", choices=NAMES, default=NAMES)
    parser.add_argument("--systems", nargs="+", default=(FLOOR, DLT, PANDAS, NIGHTLY))
    parser.add_argument("--repeats", type=int, help="of each system at each size")
    options = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 140)
    found = measure(options.parts or list(PARTS), options, console)
    for name, part in found.items():
        for table in PARTS[name].tables(part["result"]):
            console.print(table.for_terminal())
        console.print(PARTS[name].ratios(part["result"]))
    sys.exit(0 if all(PARTS[name].exact(part["result"]) for name, part in found.items()) else 1)
