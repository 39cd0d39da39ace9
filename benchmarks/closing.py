"""Part `close`: a month of 5,000 tenants with 40 lines each, as `tokenboard close` and its issuing apart."""

from __future__ import annotations

import json
import shutil
import sys
from argparse import Namespace
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.home import COMMAND, environment, prepare_home, tokenboard
from benchmarks.measured import Measured
from benchmarks.process import watch
from benchmarks.serving import ROOT, World, served_world
from benchmarks.stages import stages_of
from benchmarks.tables import Table, seconds
from benchmarks.world import Size

MARGIN = Decimal("1.25")
SETTLED = timedelta(days=5)
LINES = 40


def run(options: Namespace, folder: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Reads the month once it has settled, then closes it twice, from copies of the same home."""
    size = Size(options.tenants, LINES, 31, spending_days=2)
    with served_world([size], folder / "world") as world:
        home = folder / "home"
        prepare_home(world, home)
        tokenboard(["nightly", "--from", "2026-05-01", "--to", "2026-05-31"], _told(world, home), home)
        say(f"close: {size.projects} tenants x {LINES} lines are read")
        again = folder / "again"
        shutil.copytree(home, again)
        log = folder / "issuing.log"
        watch([sys.executable, "-m", "benchmarks.issuing", "2026-05"], _told(world, again), ROOT, log)
        issuing = json.loads(log.read_text().splitlines()[-1])
        watched = watch([*COMMAND, "close", "2026-05"], _told(world, home), home, home / "close.log")
        wrong = wrong_invoices(home / "warehouse.duckdb", folder / "world" / "0", size)
        measured = Measured.of("close", watched, size.projects, not wrong, stages=stages_of(home, watched))
    say(f"close: {measured.wall_s:.2f} s; of it issuing {issuing['issue_s']:.2f} s, writing {issuing['write_s']:.2f} s")
    return {"tenants": size.projects, "lines": LINES, "wrong": wrong, "run": asdict(measured), **issuing}


def wrong_invoices(warehouse: Path, served: Path, size: Size) -> int:
    """Tenants whose invoice is not what the served pages come to: each line once with the margin, half up to cents."""
    costs: dict[str, dict[str, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for page in served.glob("costs-*.json"):
        for row in json.loads(page.read_bytes(), parse_float=Decimal)["results"]:
            costs[row["project_id"]][row["line_item"]] += Decimal(row["amount"]["value"])
    expected = {
        f"Tenant {size.organization} {number}": sum(
            int((cost * MARGIN * 100).quantize(Decimal(1), ROUND_HALF_UP))
            for cost in costs[size.project(number)].values()
        )
        for number in range(size.projects)
    }
    with duckdb.connect(warehouse, read_only=True) as connection:
        found = connection.execute("SELECT buyer_name, net_minor FROM billing.documents").fetchall()
    return len(set(expected.items()) ^ set(found))


def exact(result: Mapping[str, Any]) -> bool:
    """Whether every invoice was right."""
    return not result["wrong"]


def ratios(result: Mapping[str, Any]) -> dict[str, float]:
    """Seconds for a thousand invoices: what rendering and issuing may cost is said as a rate."""
    return {"close: seconds to issue and write 1,000 invoices": _spent(result) / result["invoices"] * 1000}


def tables(result: Mapping[str, Any]) -> list[Table]:
    """The closing and its stages, then issuing alone."""
    run_, count = result["run"], result["invoices"]
    stages = [["`close`, all of the process", seconds(run_["wall_s"]), f"{count / run_['wall_s']:,.0f}"]]
    stages += [
        [f"`close`, {name}", seconds(stage["wall_s"]), f"{count / stage['wall_s']:,.0f}" if stage["wall_s"] else ""]
        for name, stage in run_["stages"].items()
    ]
    for name, spent in (
        ("draft, number, render, record", result["issue_s"]),
        ("write the files", result["write_s"]),
        ("both", _spent(result)),
    ):
        stages.append([f"issuing alone: {name}", seconds(spent), f"{count / spent:,.0f}"])
    note = (
        f"{count:,} invoices of {result['lines']} lines; peak {run_['peak_rss_mb']} MB. "
        f"{result['wrong'] or 'None'} differ from what the served pages come to, each line rounded once."
    )
    return [Table("Closing a month", ["step", "wall s", "invoices/s"], stages, note)]


def _spent(result: Mapping[str, Any]) -> float:
    return float(result["issue_s"] + result["write_s"])


def _told(world: World, home: Path) -> dict[str, str]:
    return environment(world, home, world.sizes[0].night + SETTLED)
