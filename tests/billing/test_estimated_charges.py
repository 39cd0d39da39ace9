"""Days whose cost has not arrived: estimated from usage, marked, never summed or invoiced, gone when it arrives."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.billing.conftest import DAY, NOW, usd_of, use
from tokenboard_etl.billing.margins import record_default_margins
from tokenboard_etl.billing.policy_file import parse_policy
from tokenboard_etl.billing.policy_versions import record_policy
from tokenboard_etl.billing.price_book import record_bundled_prices
from tokenboard_etl.periods import Window
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.tenants.csv_import import import_tenants
from tokenboard_etl.warehouse.checks import all_checks, refuse_violations, run_checks
from tokenboard_etl.warehouse.loads import mark_months
from tokenboard_etl.warehouse.models import build_models

JUNE = datetime(2026, 6, 15, 2, 0, tzinfo=UTC)
WINDOW = Window(date(2026, 6, 13), date(2026, 6, 15))
DAYS = (date(2026, 6, 13), date(2026, 6, 14))
OF_BILLING = [check for check in all_checks() if check.table.startswith("billing.")]


def charges(connection: duckdb.DuckDBPyConnection, columns: str) -> list[tuple[Any, ...]]:
    return connection.execute(f"SELECT {columns} FROM billing.charges ORDER BY ALL").fetchall()


def sums(connection: duckdb.DuckDBPyConnection, table: str, *columns: str) -> tuple[Decimal, ...]:
    wanted = ", ".join(f"coalesce(sum({column}), 0)" for column in columns)
    return connection.execute(f"SELECT {wanted} FROM {table}").fetchall()[0]


@pytest.fixture
def tenants(sandbox: RunningSandbox, warehouse: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    path = tmp_path / "tenants.csv"
    path.write_text(sandbox.world.tenants_csv())
    import_tenants(warehouse, path, JUNE)


# --- OpenAI, by the sandbox's world ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("tenants")
def test_usage_stands_in_for_a_cost_that_is_missing_and_goes_when_it_arrives(
    sandbox: RunningSandbox, night: Callable[..., Any], warehouse: duckdb.DuckDBPyConnection
) -> None:
    night(JUNE, WINDOW, "openai", {"completions"})
    expected: dict[tuple[Any, ...], list[Fraction]] = defaultdict(lambda: [Fraction(0), Fraction(0)])
    org = sandbox.world.organizations[0].id
    for day in DAYS:
        for row in sandbox.world.openai_completions(org, day, JUNE):
            model = row.model.split(":")
            spelled = f"ft-{model[1]}" if model[0] == "ft" else row.model
            known = expected[day, row.project_id, row.api_key_id, spelled]
            known[0] += row.input_tokens + row.output_tokens
            known[1] += usd_of(row)
    found = charges(warehouse, "usage_date, account_id, api_key_id, line_item, model, quantity, cost_usd, source")
    assert {row[:4]: [Fraction(row[5]), Fraction(row[6])] for row in found} == dict(expected)
    assert all(row[3] == row[4] and row[7] == "estimated" for row in found)
    whole = sum((usd for _, usd in expected.values()), Fraction(0))
    cost, billed, estimated_cost, estimated_billed = sums(
        warehouse, "billing.tenant_days", "cost_usd", "billed_usd", "estimated_cost_usd", "estimated_billed_usd"
    )
    assert (cost, billed, Fraction(estimated_cost)) == (0, 0, whole)
    of_nobody = charges(warehouse, "tenant_id, cost_usd, multiplier, billed_usd, margin_rule_id")
    bound = sum((Fraction(row[1]) for row in of_nobody if row[0] != "unallocated"), Fraction(0))
    assert 0 < Fraction(estimated_billed) == bound * Fraction("1.25") < whole * Fraction("1.25")
    assert sums(warehouse, "billing.tenant_months", "cost_usd", "billed_usd") == (0, 0)
    assert sums(warehouse, "billing.reconciliation", "allocated_cost_usd", "unallocated_cost_usd") == (0, 0)
    assert sums(warehouse, "billing.invoice_drafts", "billed_exact") == (0,)
    assert sums(warehouse, "billing.category_costs", "cost_usd") == (0,)
    refuse_violations(run_checks(warehouse, OF_BILLING))

    night(JUNE + timedelta(minutes=1), WINDOW, "openai", {"costs", "costs_total"})
    assert charges(warehouse, "DISTINCT source") == [("provider",)]
    cost, estimated = sums(warehouse, "billing.tenant_days", "cost_usd", "estimated_cost_usd")
    billed = sum((row.amount_usd for day in DAYS for row in sandbox.world.openai_costs(org, day, JUNE)), Decimal(0))
    assert estimated == 0
    assert abs(cost - billed) < Decimal("1e-12")  # the world's amounts have more than 18 decimals
    refuse_violations(run_checks(warehouse, OF_BILLING))


@pytest.mark.usefixtures("tenants")
def test_only_the_days_that_are_missing_are_estimated(
    night: Callable[..., Any], warehouse: duckdb.DuckDBPyConnection
) -> None:
    night(JUNE, WINDOW, "openai", {"completions"})
    night(JUNE + timedelta(minutes=1), Window(DAYS[0], DAYS[1]), "openai", {"costs", "costs_total"})
    assert charges(warehouse, "DISTINCT usage_date, source") == [(DAYS[0], "provider"), (DAYS[1], "estimated")]
    states = warehouse.execute(
        "SELECT usage_date, state FROM ops.source_days WHERE report = 'costs' ORDER BY usage_date"
    ).fetchall()
    assert states == [(DAYS[0], "provisional"), (DAYS[1], "missing")]


# --- OpenRouter -----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("tenants")
def test_activity_stands_in_for_analytics_with_what_no_key_explains(
    sandbox: RunningSandbox, night: Callable[..., Any], warehouse: duckdb.DuckDBPyConnection
) -> None:
    """What the account deducted in all is what is estimated; its keys by key, the rest unallocated."""
    night(JUNE, WINDOW, "openrouter", {"keys", "activity", "activity_by_key"})
    by_key: dict[tuple[Any, ...], Decimal] = defaultdict(Decimal)
    for day in DAYS:
        for row in sandbox.world.openrouter_spend(day, JUNE):
            by_key[day, row.key_hash or "", row.model] += row.usage_usd
    found = charges(warehouse, "usage_date, account_id, line_item, cost_usd, source, tenant_id, category")
    assert {row[4] for row in found} == {"estimated"}
    of_keys = {row[:3]: row[3] for row in found if row[1]}
    assert of_keys
    assert {key: usd for key, usd in of_keys.items() if abs(by_key[key] - usd) > Decimal("1e-9")} == {}
    assert abs(sum(by_key.values()) - sum(row[3] for row in found)) < Decimal("1e-6")
    assert {row[5] for row in found if not row[1]} == {"unallocated"}
    assert {row[6] for row in found if row[1]} <= {"cv-parsing", "video-interview", "question-generation"}

    night(JUNE + timedelta(minutes=1), WINDOW, "openrouter", {"keys", "analytics", "analytics_total"})
    assert charges(warehouse, "DISTINCT source") == [("provider",)]


@pytest.mark.usefixtures("tenants")
def test_where_nothing_is_there_nothing_is_estimated(
    night: Callable[..., Any], warehouse: duckdb.DuckDBPyConnection
) -> None:
    night(JUNE, WINDOW, "openrouter", {"keys"})
    night(JUNE, WINDOW, "openai", {"projects"})
    assert charges(warehouse, "source") == []


# --- planted: no usage row, no price --------------------------------------------------------------------------------


@pytest.fixture
def book(memory: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse with prices, and a tenant whose account is `any`."""
    record_bundled_prices(memory, NOW)
    record_default_margins(memory, {"openai": Decimal("1.25"), "openrouter": Decimal("1.3")}, NOW)
    record_policy(memory, parse_policy(b"currency: EUR", "policy.yaml"), NOW)
    memory.execute(
        "INSERT INTO registry.accounts VALUES ('acme', 'openai', 'project', 'any', '2026-01-01', NULL, now())"
    )
    return memory


def do(connection: duckdb.DuckDBPyConnection, kind: str, unit: str, quantity: str, tenant: str = "acme") -> None:
    """One operation on DAY."""
    connection.execute(
        """
        INSERT INTO ops.operations BY NAME
        SELECT 'op-' || (SELECT count(*) FROM ops.operations) AS operation_id, $kind AS type, $now AS occurred_at,
            $day AS usage_date, $tenant AS tenant_id, '' AS job_id, $quantity AS quantity, $unit AS unit,
            true AS success, $now AS loaded_at
        """,
        {"kind": kind, "unit": unit, "quantity": Decimal(quantity), "tenant": tenant, "day": DAY, "now": NOW},
    )


def build(connection: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    """(category, quantity, unit, cost, billed, source) of every charge."""
    mark_months(connection, {"2026-11"})
    build_models(connection, NOW, settle_days=4)
    refuse_violations(run_checks(connection, OF_BILLING))
    return charges(connection, "category, quantity, quantity_unit, cost_usd, billed_usd, source")


def arrive(connection: duckdb.DuckDBPyConnection) -> None:
    """The cost of DAY is read, and is nothing."""
    connection.execute("INSERT INTO ops.load_days VALUES ('l', 'any', 'openai', 'costs', $1, $2, $2, 0, 0)", [DAY, NOW])


def test_a_day_that_was_read_and_is_empty_is_zero(book: duckdb.DuckDBPyConnection) -> None:
    use(book, "gpt-6-sol", input_uncached_tokens=1_000_000)
    assert build(book) == [("cv-parsing", 1_000_000, "tokens", 2, Decimal("2.5"), "estimated")]
    arrive(book)
    assert build(book) == []


@pytest.mark.parametrize(
    ("tokens", "kind", "unit", "quantity", "usd"),
    [
        (6_000, "cv-parsing", "cvs", "3", "1.5"),
        (2_000, "video-interview", "minutes", "12.5", "3.75"),
        (10, "question-generation", "questions", "7", "0.07"),
    ],
)
def test_usage_without_a_price_is_taken_at_the_fallback_price_of_its_operations(
    book: duckdb.DuckDBPyConnection, tokens: int, kind: str, unit: str, quantity: str, usd: str
) -> None:
    use(book, "gpt-99", input_uncached_tokens=tokens)
    use(book, "gpt-98", input_uncached_tokens=tokens)
    do(book, kind, unit, quantity)
    do(book, "another-kind", unit, "100")
    do(book, kind, unit, "100", tenant="beta")
    billed = Decimal(usd) * Decimal("1.25")
    assert build(book) == [(kind, Decimal(quantity), unit, Decimal(usd), billed, "fallback")]
    arrive(book)
    assert build(book) == []


def test_the_fallback_is_the_policys_for_the_tenant_and_day(book: duckdb.DuckDBPyConnection) -> None:
    prices = [
        ("everybody", "2026-01-01", "", "0.6"),
        ("acme", "2026-01-01", "tenant: acme, until: 2026-11-30, ", "0.7"),
        ("acme-now", "2026-11-30", "tenant: acme, ", "0.8"),
    ]
    lines = [f"- {{id: {i}, category: cv-parsing, unit: cv, {more}usd: {u}, from: {d}}}" for i, d, more, u in prices]
    record_policy(book, parse_policy("\n".join(["fallback_prices:", *lines]).encode(), "policy.yaml"), NOW)
    use(book, "gpt-99", input_uncached_tokens=6_000)
    do(book, "cv-parsing", "cvs", "2")
    assert [row[3] for row in build(book)] == [Decimal("1.6")]


def test_operations_are_not_counted_besides_a_known_cost_of_their_category(book: duckdb.DuckDBPyConnection) -> None:
    use(book, "gpt-99", input_uncached_tokens=6_000)
    use(book, "gpt-6-sol", input_uncached_tokens=1_000_000)
    do(book, "cv-parsing", "cvs", "2")
    assert [row[5] for row in build(book)] == ["estimated"]


def test_without_an_operation_or_a_price_of_its_unit_there_is_no_figure(book: duckdb.DuckDBPyConnection) -> None:
    use(book, "gpt-99", input_uncached_tokens=6_000)
    assert build(book) == []
    do(book, "cv-parsing", "minutes", "2")
    assert build(book) == []
