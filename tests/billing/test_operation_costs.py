"""A tenant's cost spread over its operations: whole to the last digit, fair to one unit, whatever the order."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from examples import examples
from tokenboard_etl.warehouse.checks import all_checks, run_checks
from tokenboard_etl.warehouse.connection import configure
from tokenboard_etl.warehouse.migrations import migrate
from tokenboard_etl.warehouse.models import build_models
from tokenboard_etl.warehouse.sql_files import read_sql

NOW = datetime(2026, 7, 20, 2, 0, tzinfo=UTC)
DAY = date(2026, 6, 14)
UNITS = {"cv-parsing": "cvs", "question-generation": "questions", "video-interview": "minutes"}
UNIT_USD, UNIT_BILLED = Fraction(1, 10**18), Fraction(1, 10**24)

Charge = tuple[str, str, Decimal, Decimal]
"""Tenant, category, cost, billed."""


@pytest.fixture(scope="module")
def empty() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    configure(connection)
    migrate(connection)
    build_models(connection, NOW, settle_days=4)
    yield connection
    connection.close()


def operation(number: int, tenant: str, kind: str, tokens: int | None, quantity: str, **more: Any) -> dict[str, Any]:
    """One that was done on DAY."""
    return {
        "operation_id": f"op-{number:04d}",
        "type": kind,
        "occurred_at": datetime(2026, 6, 14, 9, tzinfo=UTC),
        "usage_date": DAY,
        "tenant_id": tenant,
        "job_id": "",
        "job_title": None,
        "candidate_sha256": None,
        "tokens": tokens,
        "quantity": Decimal(quantity),
        "unit": UNITS.get(kind, "cvs"),
        "success": True,
        "loaded_at": NOW,
        **more,
    }


def plant(connection: duckdb.DuckDBPyConnection, charges: list[Charge], operations: list[dict[str, Any]]) -> None:
    """Puts charges and operations in the place of those before, and spreads them."""
    connection.execute("DELETE FROM billing.charges; DELETE FROM ops.operations")
    for number, (tenant, category, cost, billed) in enumerate(charges):
        connection.execute(
            """
            INSERT INTO billing.charges BY NAME
            SELECT $day AS usage_date, $tenant AS tenant_id, 'openai' AS provider, 'openai' AS connection_id,
                'p' AS account_id, 'k' AS api_key_id, $item AS line_item, $category AS category,
                $cost::DECIMAL(38, 18) AS cost_usd, $billed::DECIMAL(38, 24) AS billed_usd, 'provider' AS source
            """,
            {"day": DAY, "tenant": tenant, "item": str(number), "category": category, "cost": cost, "billed": billed},
        )
    if operations:
        appender = connection.appender("ops.operations")
        appender.append_rows([(*each.values(), None) for each in operations])
        appender.flush()
    for name in ("billing.operation_costs", "billing.job_costs", "billing.category_costs", "billing.tenant_days"):
        connection.execute(f"CREATE OR REPLACE TABLE {name} AS {read_sql(name).query}")
    connection.execute("DELETE FROM billing.tenant_months")
    connection.execute(
        """
        INSERT INTO billing.tenant_months BY NAME
        SELECT '2026-06' AS month, tenant_id, provider, sum(cost_usd) AS cost_usd, sum(billed_usd) AS billed_usd,
            'open' AS state FROM billing.tenant_days GROUP BY tenant_id, provider
        """
    )


def parts(connection: duckdb.DuckDBPyConnection) -> dict[str, tuple[Decimal, Decimal]]:
    """Operation to its (cost, billed); the rest as `tenant category`."""
    rows = connection.execute(
        "SELECT operation_id, tenant_id, category, cost_usd, billed_usd FROM billing.operation_costs"
    ).fetchall()
    return {name or f"{tenant} {category}": (cost, billed) for name, tenant, category, cost, billed in rows}


SPREAD = [
    check
    for check in all_checks()
    if check.table
    in ("billing.operation_costs", "billing.job_costs", "billing.category_costs", "billing.tenant_months")
]


def violations(connection: duckdb.DuckDBPyConnection) -> list[str]:
    return [str(finding) for finding in run_checks(connection, SPREAD) if not finding.passed]


# --- any costs, any operations --------------------------------------------------------------------------------------

amounts = st.integers(-(10**24), 10**26)
TENANTS = ("acme", "beta")
CATEGORIES = (*UNITS, "uncategorised", "own-kind")


@st.composite
def charge_rows(draw: st.DrawFn) -> Charge:
    cost, factor = draw(amounts), draw(st.integers(0, 3 * 10**6))
    billed = Decimal(f"{cost * factor}E-24")
    return draw(st.sampled_from(TENANTS)), draw(st.sampled_from(CATEGORIES)), Decimal(f"{cost}E-18"), billed


@st.composite
def operation_rows(draw: st.DrawFn) -> tuple[str, str, int | None, str]:
    tokens = draw(st.none() | st.integers(0, 10**12) | st.integers(0, 3))
    quantity = Decimal(draw(st.integers(0, 10**11) | st.integers(0, 3))).scaleb(-6)
    return (
        draw(st.sampled_from(TENANTS)),
        draw(st.sampled_from([*UNITS, "own-kind"])),
        tokens,
        f"{quantity:f}",
    )


def weights_of(group: list[dict[str, Any]]) -> list[Fraction] | None:
    """By tokens if all say how many; else by quantity if all are counted alike; None where neither is anything."""
    if all(each["tokens"] is not None for each in group) and any(each["tokens"] for each in group):
        weights = [Fraction(each["tokens"]) for each in group]
    elif len({each["unit"] for each in group}) == 1:
        weights = [Fraction(each["quantity"]) for each in group]
    else:
        return None
    return weights if any(weights) else None


def fair(charges: list[Charge], operations: list[dict[str, Any]]) -> dict[str, list[Fraction]]:
    """What the prose says: operation, or tenant and category of the rest, to its (cost, billed) before any rounding."""
    share: dict[str, list[Fraction]] = {each["operation_id"]: [Fraction(0), Fraction(0)] for each in operations}
    for tenant, category, *both in charges:
        of_day = [each for each in operations if each["tenant_id"] == tenant]
        group = [each for each in of_day if each["type"] == category] or of_day
        weights = weights_of(group) if group else None
        if weights is None:
            rest = share.setdefault(f"{tenant} {category}", [Fraction(0), Fraction(0)])
            rest[:] = [known + Fraction(amount) for known, amount in zip(rest, both, strict=True)]
            continue
        for each, weight in zip(group, weights, strict=True):
            known = share[each["operation_id"]]
            known[:] = [k + Fraction(a) * weight / sum(weights) for k, a in zip(known, both, strict=True)]
    return share


@settings(max_examples=examples(150), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(charge_rows(), max_size=8), st.lists(operation_rows(), max_size=12), st.randoms(use_true_random=False))
@example(
    charges=[("acme", "cv-parsing", Decimal("1e-18"), Decimal("1e-24"))],
    rows=[("acme", "cv-parsing", 1, "1")] * 3,
    order=random.Random(0),
)
def test_parts_add_up_are_fair_to_one_unit_and_do_not_depend_on_order(
    empty: duckdb.DuckDBPyConnection, charges: list[Charge], rows: list[tuple[str, str, int | None, str]], order: Any
) -> None:
    operations = [operation(number, *row) for number, row in enumerate(rows)]
    plant(empty, charges, operations)
    found = parts(empty)
    assert violations(empty) == []
    for index in (0, 1):
        for tenant in TENANTS:
            whole = sum((Fraction(charge[2 + index]) for charge in charges if charge[0] == tenant), Fraction(0))
            mine = {each["operation_id"] for each in operations if each["tenant_id"] == tenant}
            names = [name for name in found if name in mine or name.startswith(f"{tenant} ")]
            assert sum(Fraction(found[name][index]) for name in names) == whole
    expected = fair(charges, operations)
    assert found.keys() == expected.keys()
    for name, (cost, billed) in found.items():
        groups = 1 if " " not in name else 0  # an operation is in its own group and in that of all: a unit for each
        assert abs(Fraction(cost) - expected[name][0]) < 2 * groups * UNIT_USD + (groups == 0) * UNIT_USD
        assert abs(Fraction(billed) - expected[name][1]) < 2 * groups * UNIT_BILLED + (groups == 0) * UNIT_BILLED
        if not groups:
            assert (Fraction(cost), Fraction(billed)) == tuple(expected[name])
    shuffled_charges, shuffled = list(charges), list(operations)
    order.shuffle(shuffled_charges)
    order.shuffle(shuffled)
    plant(empty, shuffled_charges, shuffled)
    assert parts(empty) == found


@settings(max_examples=examples(100), deadline=None, suppress_health_check=list(HealthCheck))
@given(amounts, st.lists(st.integers(0, 10**12), min_size=1, max_size=20).filter(any))
def test_left_over_units_go_to_the_largest_remainders_first_ids_first(
    empty: duckdb.DuckDBPyConnection, cost: int, tokens: list[int]
) -> None:
    """One group alone, where each part is within one unit, rounded down or up as Hamilton's method has it."""
    kind = "cv-parsing"
    operations = [operation(number, "acme", kind, each, "1") for number, each in enumerate(tokens)]
    plant(empty, [("acme", kind, Decimal(f"{cost}E-18"), Decimal(0))], operations)
    found = parts(empty)
    exact = [Fraction(abs(cost) * each, sum(tokens)) for each in tokens]
    down = [share.__floor__() for share in exact]
    order = sorted(range(len(tokens)), key=lambda i: (down[i] - exact[i], i))
    up = set(order[: abs(cost) - sum(down)])
    sign = -1 if cost < 0 else 1
    expected = [sign * (share + (i in up)) for i, share in enumerate(down)]
    assert [int(found[each["operation_id"]][0].scaleb(18)) for each in operations] == expected


# --- by example -----------------------------------------------------------------------------------------------------


def test_a_category_goes_to_its_own_type_and_what_has_none_to_all(empty: duckdb.DuckDBPyConnection) -> None:
    plant(
        empty,
        [
            ("acme", "cv-parsing", Decimal(9), Decimal("11.25")),
            ("acme", "uncategorised", Decimal(4), Decimal(5)),
        ],
        [
            operation(1, "acme", "cv-parsing", 100, "1"),
            operation(2, "acme", "cv-parsing", 200, "1"),
            operation(3, "acme", "question-generation", 100, "5"),
        ],
    )
    assert parts(empty) == {
        "op-0001": (Decimal(4), Decimal(5)),
        "op-0002": (Decimal(8), Decimal(10)),
        "op-0003": (Decimal(1), Decimal("1.25")),
    }


def test_without_tokens_it_goes_by_quantity_and_never_adds_minutes_to_cvs(empty: duckdb.DuckDBPyConnection) -> None:
    charges = [
        ("acme", "video-interview", Decimal(3), Decimal(6)),
        ("acme", "uncategorised", Decimal(1), Decimal(2)),
    ]
    minutes = [
        operation(1, "acme", "video-interview", None, "10"),
        operation(2, "acme", "video-interview", 7, "20"),
    ]
    plant(empty, charges, minutes)
    third = Decimal("1.333333333333333333")
    assert {name: cost for name, (cost, _) in parts(empty).items()} == {"op-0001": third, "op-0002": 4 - third}
    plant(empty, charges, [*minutes, operation(3, "acme", "cv-parsing", None, "1")])
    assert {name: cost for name, (cost, _) in parts(empty).items()} == {
        "op-0001": 1,
        "op-0002": 2,
        "op-0003": 0,
        "acme uncategorised": 1,
    }


def test_jobs_and_categories_are_the_sums_and_the_rest_is_a_row_of_its_own(empty: duckdb.DuckDBPyConnection) -> None:
    charges = [
        ("acme", "cv-parsing", Decimal(6), Decimal(9)),
        ("acme", "video-interview", Decimal(2), Decimal(3)),
        ("beta", "uncategorised", Decimal(1), Decimal(1)),
        ("unallocated", "uncategorised", Decimal(5), Decimal(0)),
    ]
    early = datetime(2026, 6, 14, 8, tzinfo=UTC)
    operations = [
        operation(1, "acme", "cv-parsing", 1, "1", job_id="j1", job_title="New"),
        operation(2, "acme", "cv-parsing", 2, "1", job_id="j1", job_title="Old", occurred_at=early, success=False),
        operation(3, "acme", "video-interview", None, "12.5", job_id="j2"),
        operation(4, "acme", "own-kind", None, "3"),
    ]
    plant(empty, charges, operations)
    jobs = empty.execute(
        """
        SELECT tenant_id, job_id, part, job_title, cv_cost_usd, question_cost_usd, video_cost_usd, total_cost_usd,
            total_billed_usd, operations, failed_operations, cvs, questions, minutes
        FROM billing.job_costs ORDER BY tenant_id, part, job_id
        """
    ).fetchall()
    assert jobs == [
        ("acme", "", "operations", None, 0, 0, 0, 0, 0, 1, 0, 3, 0, 0),
        ("acme", "j1", "operations", "New", 6, 0, 0, 6, 9, 2, 1, 2, 0, 0),
        ("acme", "j2", "operations", None, 0, 0, 2, 2, 3, 1, 0, 0, 0, Decimal("12.5")),
        ("beta", "", "rest", None, None, None, None, 1, 1, 0, 0, 0, 0, 0),
        ("unallocated", "", "rest", None, None, None, None, 5, 0, 0, 0, 0, 0, 0),
    ]
    categories = empty.execute(
        """
        SELECT tenant_id, category, cost_usd, billed_usd, operations, failed_operations, cvs, questions, minutes
        FROM billing.category_costs ORDER BY tenant_id, category
        """
    ).fetchall()
    assert categories == [
        ("acme", "cv-parsing", 6, 9, 2, 1, 2, 0, 0),
        ("acme", "own-kind", 0, 0, 1, 0, 3, 0, 0),
        ("acme", "video-interview", 2, 3, 1, 0, 0, 0, Decimal("12.5")),
        ("beta", "uncategorised", 1, 1, 0, 0, 0, 0, 0),
        ("unallocated", "uncategorised", 5, 0, 0, 0, 0, 0, 0),
    ]


@pytest.mark.parametrize(
    ("table", "check"),
    [
        ("billing.operation_costs", "operations_add_up_to_the_day"),
        ("billing.category_costs", "parts_add_up_to_the_month"),
        ("billing.job_costs", "parts_add_up_to_the_month"),
    ],
)
def test_a_part_that_is_lost_stops_publication(empty: duckdb.DuckDBPyConnection, table: str, check: str) -> None:
    plant(empty, [("acme", "cv-parsing", Decimal(6), Decimal(9))], [operation(1, "acme", "cv-parsing", 1, "1")])
    assert violations(empty) == []
    empty.execute(f"DELETE FROM {table}")
    found = defaultdict(list)
    for each in run_checks(empty, SPREAD):
        found[each.passed].append(each.check)
    assert [(each.name, each.blocking) for each in found[False]] == [(check, True)]
