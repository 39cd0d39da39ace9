"""The ledger of days: missing, provisional, settled, closed and lost, whatever was read when."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from examples import examples
from tokenboard_etl.warehouse.connection import open_warehouse
from tokenboard_etl.warehouse.models import build_models

FIRST = date(2025, 3, 1)
Reads = list[tuple[int, int, float]]
SETTLE_DAYS = 4
HORIZON_DAYS = {"costs": 365, "analytics": 365, "activity": 29}


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_warehouse(Path(tmp_path_factory.mktemp("ledger")) / "warehouse.duckdb") as connection:
        yield connection


def record(connection: duckdb.DuckDBPyConnection, report: str, reads: Reads) -> None:
    """Reads as (first day, days, hours after FIRST at which it began), written as a load would."""
    for number, (first, days, began_h) in enumerate(reads):
        began = datetime(FIRST.year, FIRST.month, FIRST.day, tzinfo=UTC) + timedelta(hours=began_h)
        start = FIRST + timedelta(days=first)
        connection.execute(
            """
            INSERT INTO ops.loads
            VALUES ($1, 'c', 'openai', $2, $3, $4, $5, $5, 1, 1, 1, 'x', 0, 'loaded', NULL, NULL, NULL, NULL)
            """,
            [f"{report}{number}", report, start, start + timedelta(days=days), began],
        )
        for day in range(days):
            connection.execute(
                "INSERT INTO ops.load_days VALUES ($1, 'c', 'openai', $2, $3, $4, $4, 1, 1)",
                [f"{report}{number}", report, start + timedelta(days=day), began],
            )


def expected_state(day: int, reads: Reads, now_day: int, horizon: int, closed: set[str]) -> str:
    """Told again in hours since FIRST, without any SQL."""
    hours = [began for first, days, began in reads if first <= day < first + days]
    if not hours:
        return "lost" if now_day - day > horizon else "missing"
    if f"{FIRST + timedelta(days=day):%Y-%m}" in closed:
        return "closed"
    return "settled" if any(began >= (day + 1 + SETTLE_DAYS) * 24 for began in hours) else "provisional"


@st.composite
def histories(draw: st.DrawFn) -> tuple[Reads, int]:
    reads = []
    for _ in range(draw(st.integers(1, 6))):
        first, days = draw(st.integers(0, 60)), draw(st.integers(1, 8))
        reads.append(
            (first, days, (first + days) * 24 + draw(st.integers(0, 24 * 12)) + draw(st.sampled_from([0, 0.5])))
        )
    newest = max(int(began // 24) for *_, began in reads)
    return reads, newest + draw(st.sampled_from([0, 1, 5, 28, 29, 30, 31, 364, 365, 366, 400]))


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    history=histories(),
    report=st.sampled_from(sorted(HORIZON_DAYS)),
    close=st.sets(st.sampled_from(["2025-03", "2025-04"])),
)
def test_every_day_has_the_state_its_reads_give_it(
    warehouse: duckdb.DuckDBPyConnection,
    history: tuple[Reads, int],
    report: str,
    close: set[str],
) -> None:
    reads, now_day = history
    for table in ("ops.loads", "ops.load_days", "billing.closed_months"):
        warehouse.execute(f"DELETE FROM {table}")
    record(warehouse, report, reads)
    for month in close:
        warehouse.execute("INSERT INTO billing.closed_months (month, closed_at) VALUES ($1, now())", [month])
    now = datetime(FIRST.year, FIRST.month, FIRST.day, 2, tzinfo=UTC) + timedelta(days=now_day)
    build_models(warehouse, now, SETTLE_DAYS)
    found = dict(warehouse.execute("SELECT usage_date, state FROM ops.source_days").fetchall())
    first = min(first for first, *_ in reads)
    horizon = HORIZON_DAYS[report]
    assert found == {
        FIRST + timedelta(days=day): expected_state(day, reads, now_day, horizon, close)
        for day in range(min(first, now_day - 1), now_day)
    }
