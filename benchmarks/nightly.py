"""Our nightly as a whole process against a world made beforehand: how long, how large, and whether it is exact.

python -m benchmarks.nightly [--organizations N] [--projects P] [--days D] [--line-items L] [--seed S]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import duckdb

from benchmarks.world import Oracle, Size, write_world

ROOT = Path(__file__).parents[1]
_COMMAND = "from tokenboard_etl.cli import main; main()"


@dataclass(frozen=True)
class Night:
    """One nightly of one organization."""

    wall_s: float
    cpu_s: float
    peak_rss_mb: int
    rows: int
    body_mb: int
    exact: bool


@contextmanager
def served(folder: Path) -> Iterator[int]:
    """A server process over a world; yields its port."""
    command = [sys.executable, "-m", "benchmarks.server", str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603 - our own module
        try:
            assert server.stdout is not None  # noqa: S101 - asked for above
            yield int(server.stdout.readline())
        finally:
            server.terminate()


def run_night(size: Size, folder: Path) -> Night:
    """Makes a world in `folder`, reads it in one night and holds the warehouse against the oracle."""
    oracle = write_world(size, folder / "world")
    with served(folder / "world") as port:
        environment = {
            **os.environ,
            "OPENAI_ADMIN_KEY": "sk-admin-benchmark",
            "OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1",
            "OPENROUTER_MANAGEMENT_KEY": "sk-or-v1-benchmark",
            "OPENROUTER_BASE_URL": f"http://127.0.0.1:{port}/router",
            "TOKENBOARD_HOME": str(folder / "home"),
            "TOKENBOARD_NOW": size.night.isoformat(),
        }
        window = ["--from", str(size.dates[0]), "--to", str(size.dates[-1])]
        began = time.perf_counter()
        with (folder / "nightly.log").open("wb") as log:
            command = [sys.executable, "-c", _COMMAND, "nightly", *window]
            process = subprocess.Popen(command, env=environment, cwd=folder, stdout=log, stderr=log)  # noqa: S603 - ours
            _, status, used = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        said = (folder / "nightly.log").read_text()
        raise SystemExit(f"{said}\nthe nightly failed with status {process.returncode}")
    rows = oracle.cost_rows + oracle.usage_rows
    exact = is_exact(folder / "home" / "warehouse.duckdb", oracle)
    cpu_s = used.ru_utime + used.ru_stime
    return Night(round(wall_s, 2), round(cpu_s, 2), used.ru_maxrss // 1024, rows, oracle.body_bytes // 1_000_000, exact)


def is_exact(warehouse: Path, oracle: Oracle) -> bool:
    """Whether every day's cost, the rows and the tokens are what was served, to the last digit."""
    connection = duckdb.connect(warehouse, read_only=True)
    try:
        costs = connection.execute(
            "SELECT usage_date, sum(cost_usd) FROM billing.charges WHERE provider = 'openai' GROUP BY 1"
        ).fetchall()
        rows = connection.execute(
            """
            SELECT (SELECT sum(provider_rows) FROM raw.openai_costs), (SELECT count(*) FROM usage.completions),
                (SELECT sum(input_tokens + output_tokens) FROM usage.completions)
            """
        ).fetchall()
    finally:
        connection.close()
    found: dict[date, object] = dict(costs)
    return found == oracle.cost_usd and rows == [(oracle.cost_rows, oracle.usage_rows, oracle.tokens)]


def main() -> None:
    """A nightly per organization, each in a home of its own; prints them and their sum as JSON lines."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("organizations", 1), ("projects", 2000), ("days", 31), ("line-items", 25), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    nights = []
    for number in range(given.organizations):
        with tempfile.TemporaryDirectory() as folder:
            size = Size(given.projects, given.line_items, given.days, given.seed + number)
            nights.append(run_night(size, Path(folder)))
        print(json.dumps(asdict(nights[-1])), flush=True)  # noqa: T201 - the result
    wall_s, rows = sum(night.wall_s for night in nights), sum(night.rows for night in nights)
    peak, exact = max(night.peak_rss_mb for night in nights), all(night.exact for night in nights)
    total = {"wall_s": round(wall_s, 2), "rows": rows, "rows_per_s": round(rows / wall_s), "peak_rss_mb": peak}
    print(json.dumps({**total, "exact": exact}))  # noqa: T201 - the result
    sys.exit(0 if exact else 1)


if __name__ == "__main__":
    main()
