"""The same models over the same lake on each engine: how long, how large, and whether each is exact.

python -m benchmarks.engines [--organizations N] [--projects P] [--days D] [--line-items L] [--seed S] [--spark MASTER]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import duckdb

from benchmarks.nightly import (
    COMMAND,
    Measured,
    World,
    environment_of,
    is_exact,
    one_line,
    prepare_home,
    run_night,
    served_world,
)
from benchmarks.process import watch
from benchmarks.world import Oracle, Size
from tokenboard_etl.lake.stored import Lake


def run_engines(world: World, folder: Path, spark: Mapping[str, str]) -> Iterator[Measured]:
    """A night that keeps a lake, then the models over it on DuckDB and on Spark; `spark` are variables: where it is."""
    home, lake = folder / "home", Lake(str(folder / "lake"))
    prepare_home(world, folder / "prepared")
    yield run_night(world, folder / "prepared", home, TOKENBOARD_LAKE_URL=lake.url)
    for engine in ("duckdb", "spark"):
        environment = {**environment_of(world, home), **spark, "TOKENBOARD_LAKE_URL": lake.url}
        watched = watch([*COMMAND, "models", "--engine", engine], environment, home, folder / f"{engine}.log")
        yield one_line(engine, world, watched, lake_is_exact(lake, engine, folder, world.oracles))


def lake_is_exact(lake: Lake, engine: str, folder: Path, oracles: Sequence[Oracle]) -> bool:
    """Whether the lake's newest models are of this engine and what was served, to the last digit."""
    models, inputs = lake.newest("models"), lake.newest("inputs")
    with duckdb.connect(folder / f"{engine}.duckdb") as connection:
        for edition, table in (
            (models, "billing.charges"),
            (models, "usage.completions"),
            (inputs, "raw.openai_costs"),
        ):
            connection.execute(f"CREATE SCHEMA {table.partition('.')[0]}")
            files = f"{lake.folder(edition, table)}/**/*.parquet"
            connection.execute(f"CREATE TABLE {table} AS FROM read_parquet('{files}', hive_partitioning = false)")
    return models.engine == engine and is_exact(folder / f"{engine}.duckdb", oracles)


def main() -> None:
    """Prints each process as a line of JSON, and the lake's size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("organizations", 2), ("projects", 2000), ("days", 31), ("line-items", 30), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--spark", default="local[2]")
    given = parser.parse_args()
    shape = given.projects, given.line_items, given.days, given.seed
    sizes = [Size(*shape, organization=number) for number in range(given.organizations)]
    exact = True
    with tempfile.TemporaryDirectory() as name, served_world(sizes, Path(name) / "world") as world:
        for each in run_engines(world, Path(name), {"TOKENBOARD_SPARK_MASTER": given.spark}):
            exact &= each.exact
            print(json.dumps(asdict(each), default=str), flush=True)  # noqa: T201 - the result
        held = {what: _bytes(Path(name) / what) for what in ("lake/inputs", "lake/models", "home/warehouse.duckdb")}
    print(json.dumps({what: round(size / 1e6) for what, size in held.items()}))  # noqa: T201 - the result
    sys.exit(0 if exact else 1)


def _bytes(path: Path) -> int:
    files = path.rglob("*.parquet") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)


if __name__ == "__main__":
    main()
