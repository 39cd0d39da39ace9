"""The same models over the same lake on each engine: how long, how large, and whether each is exact.

python -m benchmarks.engines [--size NAME] [--spark MASTER], in the environment of `make spark`: `make bench` has none,
and needs none.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path

import duckdb

from benchmarks.home import COMMAND, environment, prepare_home
from benchmarks.measured import Measured
from benchmarks.process import watch
from benchmarks.serving import World, served_world
from benchmarks.sizes import NAMES, organizations
from benchmarks.systems import held_against, run_night
from benchmarks.world import Oracle
from tokenboard_etl.lake.stored import Lake

ENGINES = ("duckdb", "spark")


def run_engines(world: World, folder: Path, spark: Mapping[str, str]) -> Iterator[Measured]:
    """A night that keeps a lake, then the models over it on DuckDB and on Spark; `spark` are variables: where it is."""
    home, lake = folder / "home", Lake(str(folder / "lake"))
    prepare_home(world, folder / "prepared")
    yield run_night(world, folder / "prepared", home, TOKENBOARD_LAKE_URL=lake.url)
    for engine in ENGINES:
        told = {**environment(world, home), **spark, "TOKENBOARD_LAKE_URL": lake.url}
        watched = watch([*COMMAND, "models", "--engine", engine], told, home, folder / f"{engine}.log")
        exact, off_usd = lake_held_against(lake, folder / f"{engine}.duckdb", world.oracles)
        of_it = lake.newest("models").engine == engine
        yield Measured.of(engine, watched, world.rows, exact and of_it, off_usd)


def lake_held_against(lake: Lake, copy: Path, oracles: Sequence[Oracle]) -> tuple[bool, Decimal]:
    """The lake's newest models, put into a DuckDB file and held against the oracle as a warehouse is."""
    models, inputs = lake.newest("models"), lake.newest("inputs")
    read = ((models, "billing.charges"), (models, "usage.completions"), (inputs, "raw.openai_costs"))
    with duckdb.connect(copy) as connection:
        for edition, table in read:
            connection.execute(f"CREATE SCHEMA {table.partition('.')[0]}")
            files = f"{lake.folder(edition, table)}/**/*.parquet"
            connection.execute(f"CREATE TABLE {table} AS FROM read_parquet('{files}', hive_partitioning = false)")
    return held_against(copy, oracles)


def main() -> None:
    """Prints each process as a line of JSON, and the megabytes of the lake and the warehouse."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=NAMES, default="large")
    parser.add_argument("--spark", metavar="MASTER", default="local[2]")
    given = parser.parse_args()
    exact = True
    with tempfile.TemporaryDirectory() as name, served_world(organizations(given.size), Path(name) / "world") as world:
        for each in run_engines(world, Path(name), {"TOKENBOARD_SPARK_MASTER": given.spark}):
            exact &= each.exact
            print(json.dumps(asdict(each), default=str), flush=True)  # noqa: T201 - the result
        held = {what: _bytes(Path(name) / what) for what in ("lake/inputs", "lake/models", "home/warehouse.duckdb")}
    print(json.dumps({what: round(size / 1e6) for what, size in held.items()}))  # noqa: T201 - the result
    sys.exit(0 if exact else 1)


def _bytes(path: Path) -> int:
    """Of a file, or of the newest edition below a folder."""
    newest = max(path.glob("*/"), default=path) if path.is_dir() else path
    files = newest.rglob("*.parquet") if newest.is_dir() else [newest]
    return sum(file.stat().st_size for file in files)


if __name__ == "__main__":
    main()
