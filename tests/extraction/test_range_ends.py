"""Whether the end of a time range belongs to it, OpenRouter does not document: either way no day counts twice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import duckdb
import pytest

from tests.conftest import NOW, Night
from tokenboard_etl.periods import Window
from tokenboard_etl.providers.sandbox.server import RunningSandbox

FORTY_DAYS = Window(date(2026, 5, 6), date(2026, 6, 15))
"""More than one question: 2026-06-06 is the end of the first and the start of the second."""


@pytest.fixture(params=[False, True])
def ends(sandbox: RunningSandbox, request: pytest.FixtureRequest) -> Iterator[bool]:
    """Whether the sandbox counts the end in."""
    sandbox.sandbox.analytics_include_end = request.param
    yield request.param
    sandbox.sandbox.analytics_include_end = False


@pytest.mark.usefixtures("ends")
def test_every_day_counts_once_per_key_and_in_the_control_total(
    sandbox: RunningSandbox, night: Night, warehouse: duckdb.DuckDBPyConnection
) -> None:
    night(NOW, FORTY_DAYS, "openrouter", {"keys", "analytics", "analytics_total"})
    by_key = dict[tuple[date, str | None], Decimal]()
    for day in FORTY_DAYS.days():
        for row in sandbox.world.openrouter_spend(day, NOW):
            for key in {row.key_hash, None}:
                by_key[day, key] = by_key.get((day, key), Decimal(0)) + row.usage_usd
    rows = warehouse.execute(
        "SELECT usage_date, key_hash, sum(cost_usd) FROM raw.openrouter_analytics GROUP BY ALL"
    ).fetchall()
    assert {(day, key): cost for day, key, cost in rows if cost} == {at: cost for at, cost in by_key.items() if cost}
    totals = dict(warehouse.execute("SELECT usage_date, cost_usd FROM raw.openrouter_analytics_total").fetchall())
    assert totals == {day: cost for (day, key), cost in by_key.items() if key is None}
