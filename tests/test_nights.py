"""The main job, night after night, against the sandbox; figures held against its world, not against our code."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from assets.run import run_nightly
from tests.figures import expected_days
from tokenboard_etl.periods import Window, lookback_window, utc_day
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.settings import Settings, load_settings
from tokenboard_etl.tenants.csv_import import import_tenants
from tokenboard_etl.warehouse.connection import open_warehouse

FIRST_NIGHT = datetime(2026, 4, 10, 2, 0, tzinfo=UTC)
LINEAGE = {"load_id"}


def register_tenants(sandbox: RunningSandbox, settings: Settings, folder: Path) -> None:
    file = folder / "tenants.csv"
    file.write_text(sandbox.world.tenants_csv())
    with open_warehouse(settings.warehouse_path) as warehouse:
        import_tenants(warehouse, file, settings.now)


def rows_of(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every published table but ops.*, sorted, without the columns that say which load a row is from."""
    connection = duckdb.connect(path, read_only=True)
    try:
        names = connection.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE schema_name <> 'ops' ORDER BY ALL"
        ).fetchall()
        found = {}
        for schema, table in names:
            columns = connection.execute(
                "SELECT column_name FROM duckdb_columns() WHERE schema_name = $1 AND table_name = $2", [schema, table]
            ).fetchall()
            kept = ", ".join(f'"{column}"' for (column,) in columns if column not in LINEAGE)
            found[f"{schema}.{table}"] = connection.execute(
                f'SELECT {kept} FROM "{schema}"."{table}" ORDER BY ALL'
            ).fetchall()
        return found
    finally:
        connection.close()


def test_tenants_and_unallocated_equal_the_providers_total_to_the_last_digit(
    sandbox: RunningSandbox, settings: Settings, tmp_path: Path
) -> None:
    register_tenants(sandbox, settings, tmp_path)
    today = utc_day(settings.now)
    window = Window(today - timedelta(days=40), today)
    run_nightly(settings, window)

    connection = duckdb.connect(settings.published_path, read_only=True)
    rows = connection.execute(
        """
        SELECT usage_date, connection_id, allocated_cost_usd, unallocated_cost_usd, provider_cost_usd, difference_usd,
            control_total_usd
        FROM billing.reconciliation
        """
    ).fetchall()
    billed = connection.execute("SELECT sum(billed_usd) FROM billing.tenant_days WHERE provider = 'openai'").fetchall()
    connection.close()

    expected = expected_days(sandbox.world, window, settings.now)
    with localcontext(prec=80):
        assert {(day, conn): (ours, nobodys) for day, conn, ours, nobodys, *_ in rows} == expected
        assert all(difference == 0 for *_, difference, _ in rows)
        assert all(total == sum(expected[day, conn]) for day, conn, _, _, total, _, _ in rows)
        assert all(
            abs(control - total) <= 300 * Decimal("1e-18")
            for _, conn, _, _, total, _, control in rows
            if conn == "openai"
        )
        allocated = sum(ours for (_, conn), (ours, _) in expected.items() if conn == "openai")
        assert billed == [(allocated * Decimal("1.25"),)]


@pytest.mark.slow
def test_two_nights_and_then_the_same_again_leave_equal_tables(
    sandbox: RunningSandbox, settings: Settings, tmp_path: Path
) -> None:
    nights = 2
    register_tenants(sandbox, settings, tmp_path)

    def all_nights(instance: dg.DagsterInstance) -> dict[str, list[tuple[Any, ...]]]:
        for night in range(nights):
            now = FIRST_NIGHT + timedelta(days=night)
            sandbox.set_clock(now)
            tonight = load_settings(**sandbox.env(), TOKENBOARD_HOME=str(settings.home), TOKENBOARD_NOW=now.isoformat())
            run_nightly(tonight, lookback_window(utc_day(now), tonight.lookback_days), instance)
        return rows_of(settings.published_path)

    with dg.DagsterInstance.ephemeral() as instance:
        first = all_nights(instance)
        again = all_nights(instance)
    assert len(first["billing.charges"]) > nights * 100
    assert again.keys() == first.keys()
    for table, rows in first.items():
        assert again[table] == rows, table

    last = FIRST_NIGHT + timedelta(days=nights - 1)
    window = Window(utc_day(FIRST_NIGHT) - timedelta(days=5), utc_day(last))
    connection = duckdb.connect(settings.published_path, read_only=True)
    ours = connection.execute(
        "SELECT usage_date, connection_id, allocated_cost_usd, unallocated_cost_usd FROM billing.reconciliation"
    ).fetchall()
    states = dict(connection.execute("SELECT state, count(*) FROM ops.source_days GROUP BY state").fetchall())
    connection.close()
    assert {(day, conn): (a, u) for day, conn, a, u in ours} == expected_days(sandbox.world, window, last)
    assert set(states) == {"settled", "provisional"}
