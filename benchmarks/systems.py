"""The systems that are compared, each as a whole process over the same world and held against the same oracle."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb

from benchmarks.home import COMMAND, environment, prepare_home
from benchmarks.measured import Measured, Stage, difference_usd
from benchmarks.process import watch
from benchmarks.serving import ROOT, World
from benchmarks.stages import stages_of
from benchmarks.world import Oracle

FLOOR, NIGHTLY, DLT, PANDAS = "floor", "nightly", "dlt", "pandas"
SYSTEMS = (FLOOR, DLT, PANDAS, NIGHTLY)
"""In the order they take turns."""

PEERS = {DLT: "benchmarks.peers.dlt_pipeline", PANDAS: "benchmarks.peers.pandas_script"}
PEERS_PYTHON = ROOT / "benchmarks" / "peers" / ".venv" / "bin" / "python"


def compare(world: World, folder: Path, repeats: int, systems: Sequence[str]) -> Iterator[Measured]:
    """The systems by turns, so that a busy machine is busy for all of them; the slowest once, no ratio rests on it."""
    if NIGHTLY in systems:
        prepare_home(world, folder / "prepared")
    for number in range(repeats):
        for system in (each for each in systems if number == 0 or each != PANDAS):
            made = folder / f"{system}-{number}"
            yield run_night(world, folder / "prepared", made) if system == NIGHTLY else run_script(system, world, made)
            shutil.rmtree(made)


def run_script(system: str, world: World, folder: Path) -> Measured:
    """The floor or a peer, which say themselves what they found and how long its stages took."""
    folder.mkdir()
    size, keys = world.sizes[0], [each.admin_key for each in world.sizes]
    python, module = (PEERS_PYTHON, PEERS[system]) if system in PEERS else (sys.executable, "benchmarks.floor")
    arguments = [world.base_url, str(folder / "made"), size.first_day, str(size.days), *keys]
    log = folder / "words.log"
    watched = watch([str(python), "-m", module, *arguments], os.environ, ROOT, log)
    said = json.loads(log.read_text().splitlines()[-1])
    found = {date.fromisoformat(day): Decimal(cost) for day, cost in said["cost_usd"].items()}
    off_usd = difference_usd(found, world.cost_usd)
    stages = {name: Stage(wall_s) for name, wall_s in said["stages"].items()}
    return Measured.of(system, watched, said["rows"], not off_usd and said["rows"] == world.rows, off_usd, stages)


def run_night(world: World, prepared: Path, home: Path, **more: str) -> Measured:
    """Reads all of a world in one night, in a copy of a prepared home, and holds the warehouse against the oracle.

    `more` is what our command is told besides.
    """
    shutil.copytree(prepared, home)
    window = ["--from", str(world.sizes[0].dates[0]), "--to", str(world.sizes[0].dates[-1])]
    told = {**environment(world, home), **more}
    watched = watch([*COMMAND, "nightly", *window], told, home, home / "nightly.log")
    exact, off_usd = held_against(home / "warehouse.duckdb", world.oracles)
    return Measured.of(NIGHTLY, watched, world.rows, exact, off_usd, stages_of(home, watched))


def held_against(warehouse: Path, oracles: Sequence[Oracle]) -> tuple[bool, Decimal]:
    """Whether every organization's cost of every day, its rows and tokens are what was served, to the last digit; and
    by how much the days' costs differ in all.
    """
    with duckdb.connect(warehouse, read_only=True) as connection:
        costs = connection.execute(
            """
            SELECT connection_id, usage_date, sum(cost_usd) FROM billing.charges WHERE provider = 'openai'
            GROUP BY 1, 2
            """
        ).fetchall()
        rows = connection.execute(
            """
            SELECT connection_id, count(*), sum(input_tokens + output_tokens),
                (SELECT sum(provider_rows) FROM raw.openai_costs AS costs
                WHERE costs.connection_id = usage.completions.connection_id)
            FROM usage.completions GROUP BY 1
            """
        ).fetchall()
    names = {f"openai-{number + 1}" if number else "openai": oracle for number, oracle in enumerate(oracles)}
    found: dict[str, dict[date, Decimal]] = {name: {} for name in names}
    for name, day, cost in costs:
        found[name][day] = cost
    off_usd = sum((difference_usd(found[name], oracle.cost_usd) for name, oracle in names.items()), Decimal(0))
    counts = {(name, each.usage_rows, each.tokens, each.cost_rows) for name, each in names.items()}
    return not off_usd and set(rows) == counts, off_usd
