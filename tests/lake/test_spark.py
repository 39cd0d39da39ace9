"""Every model on Apache Spark, value by value what DuckDB made of it. `make spark` installs Spark and runs this."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from benchmarks.engines import run_engines
from benchmarks.home import COMMAND
from benchmarks.serving import served_world
from benchmarks.world import Size
from lake.tables import rows_in, rows_of
from lake.world import live_through
from tokenboard_etl.lake.keeping import keep, model_tables
from tokenboard_etl.lake.on_spark import build_on_spark, spark_session
from tokenboard_etl.lake.portable import QUOTIENT
from tokenboard_etl.lake.stored import Lake
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.settings import Settings

pytest.importorskip("pyspark", reason="Apache Spark is not installed: `make spark`")
if not shutil.which("java"):
    pytest.skip("Apache Spark needs Java 17", allow_module_level=True)

HERE = (
    "--master local[2] --driver-memory 2g --conf spark.ui.enabled=false --conf spark.driver.host=127.0.0.1 "
    "--conf spark.driver.bindAddress=127.0.0.1 --conf spark.sql.shuffle.partitions=4 pyspark-shell"
)


@pytest.fixture(scope="module")
def spark() -> Iterator[Any]:
    """A Spark of two threads in a JVM of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_SUBMIT_ARGS", HERE)
        with spark_session(None, "local[2]") as session:
            session.sparkContext.setLogLevel("ERROR")
            yield session


def test_every_model_says_the_same_on_duckdb_and_on_spark(
    spark: Any,
    warehouse: duckdb.DuckDBPyConnection,
    sandbox: RunningSandbox,
    night: Callable[..., Settings],
    tmp_path: Path,
) -> None:
    live_through(warehouse, sandbox, night, tmp_path)
    lake, lock = Lake(str(tmp_path / "lake")), tmp_path / "lake.lock"
    kept = keep(warehouse, lake, lock)
    assert [table for table, rows in kept.rows.items() if not rows] == []
    made = build_on_spark(lake, spark, lock)
    assert lake.newest("models") == made
    differ = [table for table in model_tables() if rows_in(lake, made, table) != rows_of(warehouse, table)]
    assert differ == []
    assert made.rows == kept.rows


def test_whole_division_is_that_of_duckdb_for_whatever_fits(spark: Any) -> None:
    large = [10**38 - 1, 10**37 + 7, 2**64, 2**63, 2**63 - 1, 10**20, 10**20 - 1, 10**10, 999_999, 7, 3, 1]
    pairs = [(sign * a, b) for a in [*large, 0] for b in large for sign in (1, -1)]
    values = ", ".join(f"({a}BD, {b}BD)" if max(abs(a), b) > 2**31 else f"({a}, {b})" for a, b in pairs)
    found = spark.sql(f"SELECT a, b, {QUOTIENT}(a, b) FROM VALUES {values} AS t(a, b)").collect()
    assert len(found) == len(pairs)
    for a, b, quotient in found:
        whole = abs(int(a)) // int(b)
        assert quotient == Decimal(whole if a >= 0 else -whole), (a, b)


def test_the_command_finds_the_oracles_totals_on_both_engines(tmp_path: Path) -> None:
    """Spark as a client of a Spark Connect server."""
    sizes = [Size(projects=40, line_items=10, days=5, organization=number) for number in range(2)]
    with served_world(sizes, tmp_path / "world") as world:
        found = list(run_engines(world, tmp_path, {"SPARK_REMOTE": "local[2]", "PYSPARK_SUBMIT_ARGS": HERE}))
    assert [(each.what, each.exact) for each in found] == [("nightly", True), ("duckdb", True), ("spark", True)]


def test_a_spark_that_is_not_there_is_said_in_one_line(tmp_path: Path) -> None:
    env = {
        **os.environ,
        "TOKENBOARD_HOME": str(tmp_path),
        "TOKENBOARD_LAKE_URL": str(tmp_path / "lake"),
        "TOKENBOARD_SPARK_MASTER": "nonsense",
    }
    command = [*COMMAND, "models", "--engine", "spark"]
    ended = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 1
    assert re.search(r"^tokenboard: Apache Spark failed, and nothing was published: .+$", ended.stderr, re.MULTILINE)
    assert "Traceback" not in ended.stderr
