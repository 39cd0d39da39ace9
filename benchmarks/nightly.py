"""Our nightly as a whole process against a world made beforehand: how long, how large, and whether it is exact.

python -m benchmarks.nightly [--organizations N] [--projects P] [--days D] [--line-items L] [--seed S] [--repeats R]
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from pathlib import Path

import duckdb

from benchmarks.process import Watched, watch
from benchmarks.stages import Stage, stages_of
from benchmarks.world import Oracle, Size, write_world
from tokenboard_etl.tenants.csv_import import COLUMNS

ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, "-c", "from tokenboard_etl.cli import main; main()"]
PROJECTS_PER_TENANT = 20


@dataclass(frozen=True)
class World:
    """Organizations, what each must add up to, and the port they are served at."""

    sizes: Sequence[Size]
    oracles: Sequence[Oracle]
    port: int

    @property
    def rows(self) -> int:
        return sum(oracle.cost_rows + oracle.usage_rows for oracle in self.oracles)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"


@dataclass(frozen=True)
class Measured:
    """One process, start and end included. `cpu_s` is what it used on all cores."""

    what: str
    wall_s: float
    cpu_s: float
    peak_rss_mb: int
    rows: int
    exact: bool
    stages: dict[str, Stage] = field(default_factory=dict)


@contextmanager
def served_world(sizes: Sequence[Size], folder: Path) -> Iterator[World]:
    """Makes the organizations' answers and serves them from a process of its own."""
    oracles = [write_world(size, folder / str(size.organization)) for size in sizes]
    command = [sys.executable, "-m", "benchmarks.server", str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603 - our own module
        try:
            assert server.stdout is not None  # noqa: S101 - asked for above
            yield World(sizes, oracles, int(server.stdout.readline()))
        finally:
            server.terminate()


def prepare_home(world: World, home: Path) -> None:
    """A home in which every organization is connected and every project belongs to a tenant; nothing is read yet."""
    home.mkdir(parents=True)
    environment = environment_of(world, home)
    with (home / "tenants.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        for size in world.sizes:
            for number in range(size.projects):
                tenant = {"name": f"Tenant {size.organization} {number // PROJECTS_PER_TENANT}", "country": "DE"}
                account = {"openai_project_id": size.project(number), "valid_from": size.first_day}
                writer.writerow({**tenant, **account, "currency": "EUR"})
    _run(["tenants", "import", str(home / "tenants.csv")], environment, home)
    for size in world.sizes[1:]:
        _run(["connect", "--provider", "openai"], environment, home, size.admin_key)


def run_night(world: World, prepared: Path, home: Path, **more: str) -> Measured:
    """Reads all of a world in one night, in a copy of a prepared home, and holds the warehouse against the oracle.

    `more` are further variables.
    """
    shutil.copytree(prepared, home)
    window = ["--from", str(world.sizes[0].dates[0]), "--to", str(world.sizes[0].dates[-1])]
    watched = watch([*COMMAND, "nightly", *window], {**environment_of(world, home), **more}, home, home / "nightly.log")
    exact = is_exact(home / "warehouse.duckdb", world.oracles)
    return one_line("nightly", world, watched, exact, stages_of(home, watched))


def run_floor(world: World, folder: Path) -> Measured:
    """The floor over the same world."""
    folder.mkdir()
    size = world.sizes[0]
    keys = [each.admin_key for each in world.sizes]
    arguments = [world.base_url, str(folder / "floor"), size.first_day, str(size.days), *keys]
    log = folder / "floor.log"
    watched = watch([sys.executable, "-m", "benchmarks.floor", *arguments], os.environ, ROOT, log)
    found = json.loads(log.read_text())
    total = sum((sum(oracle.cost_usd.values(), Decimal(0)) for oracle in world.oracles), Decimal(0))
    return one_line("floor", world, watched, (found["rows"], Decimal(found["cost_usd"])) == (world.rows, total))


def is_exact(warehouse: Path, oracles: Sequence[Oracle]) -> bool:
    """Whether every organization's cost of every day, its rows and tokens are what was served, to the last digit."""
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
    expected = {(name, day): cost for name, oracle in names.items() for day, cost in oracle.cost_usd.items()}
    counts = {(name, each.usage_rows, each.tokens, each.cost_rows) for name, each in names.items()}
    return {(name, day): cost for name, day, cost in costs} == expected and set(rows) == counts


def one_line(
    what: str, world: World, watched: Watched, exact: bool, stages: Mapping[str, Stage] | None = None
) -> Measured:
    """A process as one line."""
    figures = round(watched.wall_s, 2), round(watched.cpu_s, 2), watched.peak_rss_mb
    return Measured(what, *figures, world.rows, exact, dict(stages or {}))


def environment_of(world: World, home: Path) -> dict[str, str]:
    """What a command in a home of a world is given."""
    return {
        **os.environ,
        "OPENAI_ADMIN_KEY": world.sizes[0].admin_key,
        "OPENAI_BASE_URL": world.base_url,
        "OPENROUTER_MANAGEMENT_KEY": "sk-or-v1-benchmark",
        "OPENROUTER_BASE_URL": f"http://127.0.0.1:{world.port}/router",
        "TOKENBOARD_ENCRYPTION_KEY": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
        "TOKENBOARD_HOME": str(home),
        "TOKENBOARD_NOW": world.sizes[0].night.isoformat(),
    }


def _run(arguments: Sequence[str], environment: Mapping[str, str], home: Path, given: str = "") -> None:
    done = subprocess.run(  # noqa: S603 - our own command
        [*COMMAND, *arguments], input=given, env=environment, cwd=home, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{done.stdout}{done.stderr}\ntokenboard {arguments[0]} failed with status {done.returncode}")


def compare(world: World, folder: Path, repeats: int) -> Iterator[Measured]:
    """The floor and the night by turns, so that a busy machine is busy for both."""
    prepare_home(world, folder / "prepared")
    for number in range(repeats):
        yield run_floor(world, folder / f"floor-{number}")
        yield run_night(world, folder / "prepared", folder / f"home-{number}")
        shutil.rmtree(folder / f"floor-{number}")
        shutil.rmtree(folder / f"home-{number}")


def verdict(measured: Sequence[Measured]) -> dict[str, float]:
    """The smallest of each figure, and the night's as a multiple of the floor's, without what is Dagster's."""
    floors, nights = ([each for each in measured if each.what == what] for what in ("floor", "nightly"))
    best: dict[str, float] = {"peak_rss_mb": min(each.peak_rss_mb for each in nights)}
    for unit in ("wall_s", "cpu_s"):
        floor = min(getattr(each, unit) for each in floors)
        ours = min(getattr(each, unit) - getattr(each.stages["dagster"], unit) for each in nights)
        best |= {f"floor_{unit}": floor, f"night_{unit}": ours, f"ratio_{unit}": ours / floor}
        best[f"dagster_{unit}"] = min(getattr(each.stages["dagster"], unit) for each in nights)
    return {name: round(value, 2) for name, value in best.items()}


def main() -> None:
    """Prints each run as a line of JSON, then the smallest figures and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (
        ("organizations", 2), ("projects", 2000), ("days", 31), ("line-items", 30), ("seed", 0), ("repeats", 3),
    ):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    shape = given.projects, given.line_items, given.days, given.seed
    sizes = [Size(*shape, organization=number) for number in range(given.organizations)]
    measured = []
    with tempfile.TemporaryDirectory() as folder, served_world(sizes, Path(folder) / "world") as world:
        for each in compare(world, Path(folder), given.repeats):
            measured.append(each)
            print(json.dumps(asdict(each), default=str), flush=True)  # noqa: T201 - the result
    print(json.dumps(verdict(measured)))  # noqa: T201 - the result
    sys.exit(0 if all(each.exact for each in measured) else 1)


if __name__ == "__main__":
    main()
