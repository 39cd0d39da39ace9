"""billing.price_variance: what is billed against what the book says, and whose price is wrong."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from tests.billing.conftest import NOW, use
from tokenboard_etl.billing.price_book import record_bundled_prices
from tokenboard_etl.warehouse.checks import all_checks, run_checks
from tokenboard_etl.warehouse.models import build_models

DAY = date(2026, 11, 20)
SETTLED = datetime(2026, 11, 28, 2, 0, tzinfo=UTC)
MILLION = 1_000_000


@pytest.fixture
def warehouse(memory: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    record_bundled_prices(memory, NOW)
    for report in ("costs", "completions"):
        confirm(memory, report, DAY, SETTLED)
    return memory


def confirm(connection: duckdb.DuckDBPyConnection, report: str, day: date, read_at: datetime) -> None:
    """A whole read of a day."""
    load_id = f"{report} {day}"
    connection.execute(
        """
        INSERT INTO ops.loads
        VALUES ($1, 'any', 'openai', $2, $3, $4, $5, $5, 1, 1, 1, '', 1, 'loaded', NULL, NULL, NULL, NULL)
        """,
        [load_id, report, day, day + timedelta(days=1), read_at],
    )
    connection.execute(
        "INSERT INTO ops.load_days VALUES ($1, 'any', 'openai', $2, $3, $4, $4, 1, NULL)",
        [load_id, report, day, read_at],
    )


def bill(
    connection: duckdb.DuckDBPyConnection,
    line_item: str,
    usd: str,
    quantity: int | None,
    *,
    unit: str | None = "tokens",
    day: date = DAY,
) -> None:
    connection.execute(
        "INSERT INTO raw.openai_costs VALUES ('any', 'l', $1, 'p', $2, 'k', $3::DECIMAL(38, 18), $4, $5, 1)",
        [day, line_item, usd, quantity, unit],
    )


def variance(connection: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    build_models(connection, NOW, settle_days=4)
    return connection.execute(
        "SELECT model, price_model, cost_usd, estimated_cost_usd, difference_usd, verdict FROM billing.price_variance"
    ).fetchall()


def named_by_the_check(connection: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    (check,) = [check for check in all_checks() if check.name == "prices_explain_costs"]
    assert not check.blocking
    return run_checks(connection, [check])[0].examples


@pytest.mark.parametrize(("usd", "verdict"), [("2.0", "agrees"), ("2.02", "agrees"), ("2.03", "price differs")])
def test_one_percent_is_the_limit_and_a_wrong_price_is_named(
    warehouse: duckdb.DuckDBPyConnection, usd: str, verdict: str
) -> None:
    use(warehouse, "gpt-6-sol", day=DAY, input_uncached_tokens=MILLION)
    bill(warehouse, "gpt-6-sol, input", usd, MILLION)
    cost = Decimal(usd)
    assert variance(warehouse) == [("gpt-6-sol", "gpt-6-sol", cost, 2, cost - 2, verdict)]
    assert len(named_by_the_check(warehouse)) == (verdict == "price differs")


def test_only_the_model_whose_price_is_wrong_is_named(warehouse: duckdb.DuckDBPyConnection) -> None:
    for model in ("gpt-6-sol", "gpt-6-luna", "gpt-4o"):
        use(warehouse, model, day=DAY, input_uncached_tokens=MILLION, output_tokens=MILLION)
    bill(warehouse, "gpt-6-sol, input", "2", MILLION)
    bill(warehouse, "gpt-6-sol, output", "10", MILLION)
    bill(warehouse, "gpt-6-luna, input", "0.1", MILLION)
    bill(warehouse, "evals | gpt-6-luna, output", "0.75", MILLION)
    bill(warehouse, "gpt-4o text, input", "2.5", MILLION)
    bill(warehouse, "gpt-4o, output", "10", MILLION)
    assert {row[0]: row[-1] for row in variance(warehouse)} == {
        "gpt-6-sol": "agrees",
        "gpt-6-luna": "price differs",
        "gpt-4o": "agrees",
    }
    (said,) = named_by_the_check(warehouse)
    assert "model=gpt-6-luna" in said


def test_both_spellings_of_a_fine_tune_meet(warehouse: duckdb.DuckDBPyConnection) -> None:
    for name in ("a", "b"):
        use(warehouse, f"ft:gpt-4o-2024-08-06:org:{name}:id", day=DAY, output_tokens=MILLION)
    bill(warehouse, "ft-gpt-4o-2024-08-06, output", "30", 2 * MILLION)
    assert variance(warehouse) == [("ft:gpt-4o-2024-08-06", "ft:gpt-4o-2024-08-06", 30, 30, 0, "agrees")]


@pytest.mark.parametrize(
    ("line_item", "usd", "quantity", "verdict"),
    [
        ("gpt-6-sol, input", "1", MILLION // 2, "tokens differ"),
        ("gpt-6-sol, input", "0", MILLION, "partly free"),
        ("gpt-6-sol, input", "0", 0, "tokens differ"),
        ("decisions | gpt-6-sol, input", "2", MILLION, "no cost"),
    ],
)
def test_what_is_not_the_prices_fault_is_not_called_so(
    warehouse: duckdb.DuckDBPyConnection, line_item: str, usd: str, quantity: int, verdict: str
) -> None:
    use(warehouse, "gpt-6-sol", day=DAY, input_uncached_tokens=MILLION)
    bill(warehouse, line_item, usd, quantity)
    assert [row[-1] for row in variance(warehouse)] == [verdict]
    assert named_by_the_check(warehouse) == ()


def test_thousands_of_tokens_are_tokens_and_a_line_without_a_unit_leaves_their_number_open(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    use(warehouse, "gpt-6-sol", day=DAY, input_uncached_tokens=MILLION)
    bill(warehouse, "gpt-6-sol, input", "2", 1_000, unit="1000_tokens")
    use(warehouse, "gpt-6-luna", day=DAY, input_uncached_tokens=MILLION)
    bill(warehouse, "gpt-6-luna, input", "0.1", None, unit=None)
    bill(warehouse, "whisper-1, input", "3", 95, unit="duration_seconds")
    bill(warehouse, "web search tool calls", "1", 100, unit=None)
    build_models(warehouse, NOW, settle_days=4)
    rows = warehouse.execute("SELECT model, cost_tokens, verdict FROM billing.price_variance ORDER BY 1").fetchall()
    assert rows == [("gpt-6-luna", None, "agrees"), ("gpt-6-sol", MILLION, "agrees")]


def test_one_unpriced_row_leaves_the_models_estimate_open(warehouse: duckdb.DuckDBPyConnection) -> None:
    use(warehouse, "gpt-6-sol", day=DAY, input_uncached_tokens=MILLION)
    use(warehouse, "gpt-6-sol", day=DAY, tier="scale", input_uncached_tokens=MILLION)
    bill(warehouse, "gpt-6-sol, input", "2", 2 * MILLION)
    bill(warehouse, "text-embedding-3-small, input", "1", MILLION)
    assert sorted(variance(warehouse)) == [
        ("gpt-6-sol", "gpt-6-sol", 2, None, None, "unpriced"),
        ("text-embedding-3-small", None, 1, None, None, "no usage"),
    ]


@pytest.mark.parametrize("late", ["costs", "completions", None])
def test_days_of_which_a_report_is_not_final_are_left_out(
    warehouse: duckdb.DuckDBPyConnection, late: str | None
) -> None:
    day = DAY + timedelta(days=1)
    for report in ("costs", "completions"):
        confirm(warehouse, report, day, datetime(2026, 11, 22, tzinfo=UTC) if report == late else SETTLED)
    use(warehouse, "gpt-6-sol", day=day, input_uncached_tokens=MILLION)
    bill(warehouse, "gpt-6-sol, input", "0.7", 350_000, day=day)
    assert len(variance(warehouse)) == (late is None)
