"""From the first released schema, with rows in every table, to the newest: nothing is lost, and nothing is half."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from deploy.services import until
from tokenboard_etl.closing import bring_up_to_date
from tokenboard_etl.settings import load_settings
from tokenboard_etl.warehouse.connection import configure, open_warehouse
from tokenboard_etl.warehouse.migrations import migrate
from tokenboard_etl.warehouse.sql_files import SQL_ROOT

NOW = datetime(2026, 6, 15, 2, tzinfo=UTC)
FIRST = "0001_records"
FOLDER = SQL_ROOT / "migrations"

NOW_CALLED = {"policy.margin_rules": "policy.default_margins", "billing.invoices": "billing.documents"}
"""Tables of the first schema that have another name today."""

DERIVED_NOW = {("billing.invoices", "status")}
"""Columns of it that are figured out today: what became of a document follows from its credit notes."""

MEANT = {
    "invoice_number": "INV-2026-00001",
    "provider": "openai",
    "month": "2026-05",
    "report": "costs",
    "result": "loaded",
    "status": "active",
}
SAMPLES: dict[str, Any] = {
    "VARCHAR": "x",
    "DATE": date(2026, 5, 2),
    "TIMESTAMP WITH TIME ZONE": datetime(2026, 5, 3, 1, 2, 3, 456789, UTC),
    "BIGINT": 2**40,
    "INTEGER": 2**30,
    "HUGEINT": 2**70,
    "BOOLEAN": True,
    "DECIMAL(38,18)": Decimal("1234567.123456789012345678"),
    "DECIMAL(38,24)": Decimal("12345678901234.123456789012345678901234"),
    "DECIMAL(38,9)": Decimal("12345678901234567890123456789.123456789"),
    "DECIMAL(18,3)": Decimal("123456789012345.123"),
    "DECIMAL(9,6)": Decimal("123.123456"),
}

Rows = dict[str, list[tuple[Any, ...]]]


@pytest.fixture
def first_released(tmp_path: Path) -> Path:
    """A file as the first schema left it: two rows in every table, one with all NULLs it takes, and views over them."""
    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(path) as database:
        configure(database)
        migrate(database, _folder(tmp_path / "first", FIRST))
        for table, columns in _columns(database).items():
            places = ", ".join(f"${number + 1}" for number in range(len(columns)))
            for full in (True, False):
                row = [
                    MEANT.get(name, SAMPLES[kind]) if full or not nullable else None for name, kind, nullable in columns
                ]
                database.execute(f"INSERT INTO {table} VALUES ({places})", row)
        for table in ("openai_costs", "openrouter_keys", "openai_completions"):
            database.execute(f"CREATE VIEW staging.{table} AS SELECT * FROM raw.{table}")
    return path


def _folder(folder: Path, *names: str, **more: str) -> str:
    """Some of the migrations, and others made up, as a folder of their own."""
    folder.mkdir()
    for name in names:
        shutil.copy(FOLDER / f"{name}.sql", folder)
    for name, text in more.items():
        (folder / f"{name}.sql").write_text(text)
    return str(folder)


def _known() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.sql"))


def _columns(database: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[str, str, bool]]]:
    found: dict[str, list[tuple[str, str, bool]]] = {}
    for table, *column in database.execute(
        """
        SELECT c.schema_name || '.' || c.table_name, c.column_name, c.data_type, c.is_nullable
        FROM duckdb_columns() AS c JOIN duckdb_tables() AS t USING (table_oid, database_oid)
        WHERE c.schema_name <> 'main' ORDER BY ALL
        """
    ).fetchall():
        found.setdefault(table, []).append((column[0], column[1], column[2]))
    return {table: _in_order(database, table, columns) for table, columns in found.items()}


def _in_order(database: duckdb.DuckDBPyConnection, table: str, columns: list[Any]) -> list[Any]:
    order = [name for name, *_ in database.execute(f"DESCRIBE {table}").fetchall()]
    return sorted(columns, key=lambda column: order.index(column[0]))


def contents(database: duckdb.DuckDBPyConnection, shape: dict[str, list[tuple[str, str, bool]]]) -> Rows:
    """The rows of these tables, in these columns and types, under the names the tables have now."""
    present = set(_columns(database))
    names = {table: NOW_CALLED[table] if NOW_CALLED.get(table) in present else table for table in shape}
    return {
        table: database.execute(
            f"SELECT {', '.join(f'{name}::{kind}' for name, kind, _ in columns if (table, name) not in DERIVED_NOW)} "
            f"FROM {names[table]} ORDER BY ALL"
        ).fetchall()
        for table, columns in shape.items()
    }


def test_nothing_of_the_first_released_file_is_lost(first_released: Path) -> None:
    with duckdb.connect(first_released) as database:
        configure(database)
        shape = _columns(database)
        before = contents(database, shape)
    assert len(shape) > 15
    assert all(len(rows) == 2 for rows in before.values())
    with open_warehouse(first_released) as warehouse:
        assert contents(warehouse, shape) == before
        assert [name for (name,) in warehouse.execute("SELECT name FROM main.migrations ORDER BY name").fetchall()] == (
            _known()
        )
        price = warehouse.execute("SELECT DISTINCT policy_sha256 FROM billing.closed_months").fetchall()
        assert price == [("x",)]  # the version its invoices name


def test_the_models_build_on_a_file_that_came_from_the_first_release(first_released: Path, tmp_path: Path) -> None:
    settings = load_settings(
        TOKENBOARD_HOME=str(tmp_path),
        TOKENBOARD_NOW=NOW.isoformat(),
        OPENAI_BASE_URL="http://127.0.0.1:9",
        OPENROUTER_BASE_URL="http://127.0.0.1:9",
    )
    assert settings.warehouse_path == first_released
    with open_warehouse(first_released) as warehouse:
        warehouse.execute("DELETE FROM policy.default_margins")  # its rows are made up, and overlap
        rows = bring_up_to_date(warehouse, settings)
        assert rows["billing.charges"] > 0
        total = warehouse.execute("SELECT sum(cost_usd) FROM billing.charges WHERE provider = 'openai'").fetchall()
        assert total == warehouse.execute("SELECT sum(cost_usd) FROM raw.openai_costs").fetchall()


def test_a_migration_that_fails_leaves_nothing_of_itself(first_released: Path, tmp_path: Path) -> None:
    broken = _folder(
        tmp_path / "broken", *_known(), **{"9998_broken": "CREATE TABLE ops.half AS SELECT 1 AS x; SELECT error('no')"}
    )
    with duckdb.connect(first_released) as database:
        with pytest.raises(duckdb.Error):
            migrate(database, broken)
        assert "ops.half" not in _columns(database)
        names = database.execute("SELECT name FROM main.migrations ORDER BY name").fetchall()
        assert [name for (name,) in names] == _known()
        mended = _folder(tmp_path / "mended", *_known(), **{"9998_broken": "CREATE TABLE ops.half AS SELECT 2 AS x"})
        migrate(database, mended)
        assert database.execute("FROM ops.half").fetchall() == [(2,)]


ENDLESS = """
CREATE TABLE ops.half AS SELECT 1 AS x;
UPDATE registry.tenants SET name = 'half migrated';
COPY (SELECT 1) TO '{flag}';
CREATE TABLE ops.endless AS SELECT sum(hash(a.range, b.range)) AS x FROM range(10000000) AS a, range(10000000) AS b;
"""

MIGRATE = """
import sys, duckdb
from tokenboard_etl.warehouse.migrations import migrate
with duckdb.connect(sys.argv[1]) as database:
    database.execute("SET threads = 1")
    migrate(database, sys.argv[2])
"""


def test_killed_in_the_middle_of_a_migration_the_file_is_that_of_before_it(
    first_released: Path, tmp_path: Path
) -> None:
    flag = tmp_path / "begun"
    endless = _folder(tmp_path / "endless", *_known(), **{"9998_endless": ENDLESS.format(flag=flag)})
    with duckdb.connect(first_released) as database:
        shape = _columns(database)
        before = contents(database, shape)
    process = subprocess.Popen([sys.executable, "-c", MIGRATE, str(first_released), endless], cwd=SQL_ROOT.parents[1])
    try:
        until("the migration", flag.exists, 60, every=0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    with open_warehouse(first_released, wait_seconds=0) as warehouse:
        assert contents(warehouse, shape) == before
        assert not {"ops.half", "ops.endless"} & set(_columns(warehouse))
        names = warehouse.execute("SELECT name FROM main.migrations ORDER BY name").fetchall()
        assert [name for (name,) in names] == _known()
