"""What is restated after its month was invoiced: on the next invoice, once, and to the last digit."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from itertools import count

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from billing.months import (
    AUGUST,
    JULY,
    JUNE,
    MAY,
    Amounts,
    close,
    half_up,
    months_in_memory,
    policy,
    rate,
    register,
    use,
)
from examples import examples
from tokenboard_etl.billing.invoice import ADJUSTMENT
from tokenboard_etl.billing.issued import invoices_of
from tokenboard_etl.periods import Month
from tokenboard_etl.warehouse.checks import all_checks, refuse_violations, run_checks
from tokenboard_etl.warehouse.models import build_table

RATES = {"USD": Decimal(1), "EUR": Decimal("0.9213"), "JPY": Decimal("149.37"), "KWD": Decimal("0.30641")}
DIGITS = {"USD": 2, "EUR": 2, "JPY": 0, "KWD": 3}
FX = [
    {"id": f"fx-{name}", "currency": name, "per_usd": str(per_usd), "from": "2026-01-01"}
    for name, per_usd in RATES.items()
    if name != "USD"
]
VAT = {"id": "vat", "name": "VAT", "percent": "19", "from": "2026-01-01"}
OF_INVOICES = [check for check in all_checks() if check.table == "billing.invoices"]
FRESH = (f"tenant-{number}" for number in count())


@pytest.fixture(scope="module")
def months() -> Iterator[duckdb.DuckDBPyConnection]:
    with months_in_memory() as connection:
        yield connection


@pytest.fixture
def tenant(months: duckdb.DuckDBPyConnection) -> str:
    use(months, policy(fx=FX, taxes=[VAT]))
    tenant_id = next(FRESH)
    register(months, tenant_id)
    return tenant_id


def lines(months: duckdb.DuckDBPyConnection, tenant_id: str) -> list[tuple[str, str, str, Decimal, int]]:
    return months.execute(
        """
        SELECT line.service_month, line.kind, line.line_item, line.billed_exact, line.amount_minor
        FROM billing.invoice_lines AS line JOIN billing.documents USING (invoice_number)
        WHERE tenant_id = $1 ORDER BY series_number, line_no
        """,
        [tenant_id],
    ).fetchall()


amounts = st.decimals(min_value=-1000, max_value=100_000, places=24, allow_nan=False)
versions = st.dictionaries(st.sampled_from(["a", "b", "c"]), amounts, max_size=3).map(
    lambda rated: {**rated, "always": Decimal(1)}  # a month of nothing is not closed for one tenant alone
)
UNSHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)
"""Each example goes through a database, so that shrinking one would take minutes."""


@pytest.mark.slow
@settings(max_examples=examples(25), phases=UNSHRUNK, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    history=st.lists(versions, min_size=3, max_size=3),
    others=st.lists(versions, min_size=3, max_size=3),
    currency=st.sampled_from(list(RATES)),
)
def test_all_documents_of_a_month_come_to_what_it_is_rated_now(
    months: duckdb.DuckDBPyConnection, history: list[Amounts], others: list[Amounts], currency: str
) -> None:
    """May is restated before June is closed and again before July is; June once. Then nothing is left to correct."""
    use(months, policy(fx=FX, taxes=[VAT]))
    tenant = next(FRESH)
    register(months, tenant, currency)
    rated: dict[tuple[Month, str], Decimal] = {}
    for position, closing in enumerate((MAY, JUNE, JULY)):
        rate(months, tenant, MAY, history[position])
        if position:
            rate(months, tenant, JUNE, others[position])
        close(months, closing, tenant)
    rate(months, tenant, AUGUST, {"last": Decimal(1)})
    close(months, AUGUST, tenant)
    for month, now in ((MAY, history[2]), (JUNE, others[2])):
        rated |= {(month, item): usd for item, usd in now.items()}

    billed: dict[tuple[str, str], tuple[Fraction, int]] = {}
    for month, kind, item, exact, minor in lines(months, tenant):
        assert kind in ("usage", "adjustment")
        before = billed.get((month, item), (Fraction(0), 0))
        billed[month, item] = before[0] + Fraction(exact), before[1] + minor
    is_invoiced = bool(months.execute("SELECT 1 FROM billing.documents WHERE tenant_id = $1", [tenant]).fetchall())
    assert is_invoiced
    for (month, item), usd in rated.items():
        exact, minor = billed.pop((str(month), item), (Fraction(0), 0))
        assert exact == Fraction(usd)
        assert minor == half_up(Fraction(usd) * Fraction(RATES[currency]) * 10 ** DIGITS[currency])
    del billed[str(AUGUST), "last"]
    assert set(billed.values()) <= {(Fraction(0), 0)}

    for invoice in (each for month in (MAY, JUNE, JULY, AUGUST) for each in invoices_of(months, month)):
        assert invoice.total_minor == invoice.net_minor + invoice.tax_minor
        assert (invoice.kind == "credit_note") == (invoice.total_minor < 0)
    refuse_violations(run_checks(months, OF_INVOICES))


def test_a_restatement_makes_one_adjustment_that_names_its_line_and_a_second_run_none(
    months: duckdb.DuckDBPyConnection, tenant: str
) -> None:
    rate(months, tenant, MAY, {"a": Decimal("10.004"), "b": Decimal(5)})
    (original,) = close(months, MAY, tenant)
    rate(months, tenant, MAY, {"a": Decimal("10.006"), "b": Decimal(5)})
    rate(months, tenant, JUNE, {"a": Decimal(7)})
    (invoice,) = close(months, JUNE, tenant)
    (line,) = [line for line in invoice.lines if line.kind == ADJUSTMENT]
    assert (line.original_invoice, line.original_line, line.service_month) == (original.number, 1, "2026-05")
    assert (line.billed_exact, line.amount_minor) == (Decimal("0.002"), 1)  # 10.01 - 10.00
    rate(months, tenant, JULY, {"a": Decimal(1)})
    assert close(months, JUNE, tenant) == []
    (next_one,) = close(months, JULY, tenant)
    assert [line.kind for line in next_one.lines] == ["usage"]


def test_a_correction_keeps_the_rate_and_the_tax_of_its_invoice(months: duckdb.DuckDBPyConnection, tenant: str) -> None:
    register(months, tenant, "EUR")
    rate(months, tenant, MAY, {"a": Decimal(100)})
    close(months, MAY, tenant)
    dearer = [{**FX[0], "per_usd": "2"}]
    use(months, policy(fx=dearer, taxes=[{**VAT, "percent": "7"}]))
    rate(months, tenant, MAY, {"a": Decimal(110)})
    rate(months, tenant, JUNE, {"a": Decimal(100)})
    (invoice,) = close(months, JUNE, tenant)
    assert [line.amount_minor for line in invoice.lines] == [20000, 921]
    assert [(each.tax.code, each.base_minor, each.tax_minor) for each in invoice.taxes] == [
        ("VAT 19%", 921, 175),
        ("VAT 7%", 20000, 1400),
    ]


def test_spend_that_is_bound_after_closing_comes_without_an_original(months: duckdb.DuckDBPyConnection) -> None:
    use(months, policy())
    early, late = next(FRESH), next(FRESH)
    month = Month(2025, 1)
    register(months, early)
    rate(months, early, month, {"a": Decimal(3)})
    close(months, month)
    register(months, late)
    rate(months, late, month, {"a": Decimal(4)})
    (invoice,) = close(months, month.next(), late)
    (line,) = invoice.lines
    assert (line.kind, line.amount_minor, line.original_invoice, line.original_line) == ("adjustment", 400, None, None)
    assert close(months, Month(2025, 3), late) == []


def test_less_than_was_invoiced_becomes_a_credit_note(months: duckdb.DuckDBPyConnection, tenant: str) -> None:
    rate(months, tenant, MAY, {"a": Decimal(100)})
    (original,) = close(months, MAY, tenant)
    rate(months, tenant, MAY, {})
    (note,) = close(months, JUNE, tenant)
    assert (note.kind, note.net_minor, note.tax_minor, note.total_minor) == ("credit_note", -10000, -1900, -11900)
    assert (note.corrects, note.due_on) == (original.number, None)
    status = months.execute(
        "SELECT status FROM billing.invoices WHERE invoice_number = $1", [original.number]
    ).fetchall()
    assert status == [("issued",)]


def test_what_prints_as_nothing_waits_for_a_document(months: duckdb.DuckDBPyConnection, tenant: str) -> None:
    rate(months, tenant, MAY, {"a": Decimal(1)})
    close(months, MAY, tenant)
    rate(months, tenant, MAY, {"a": Decimal("1.001")})
    assert close(months, JUNE, tenant) == []
    rate(months, tenant, JULY, {"a": Decimal(1)})
    (invoice,) = close(months, JULY, tenant)
    assert [(line.kind, line.amount_minor) for line in invoice.lines] == [("usage", 100), ("adjustment", 0)]


def test_a_minimum_is_held_against_what_a_month_comes_to_now(months: duckdb.DuckDBPyConnection, tenant: str) -> None:
    use(months, policy(minimums=[{"id": "floor", "amount": "25", "from": "2026-01-01"}]))
    rate(months, tenant, MAY, {"a": Decimal(20)})
    (invoice,) = close(months, MAY, tenant)
    assert [(line.kind, line.amount_minor) for line in invoice.lines] == [("usage", 2000), ("minimum", 500)]
    for now, closing in ((Decimal(22), JUNE), (Decimal(30), JULY), (Decimal(24), AUGUST)):
        rate(months, tenant, MAY, {"a": now})
        close(months, closing, tenant)
        of_may = sum(minor for month, _, _, _, minor in lines(months, tenant) if month == str(MAY))
        assert of_may == max(2500, now * 100)


def test_a_tenants_new_currency_leaves_corrections_in_the_old_one(
    months: duckdb.DuckDBPyConnection, tenant: str
) -> None:
    rate(months, tenant, MAY, {"a": Decimal(10)})
    close(months, MAY, tenant)
    register(months, tenant, "EUR")
    rate(months, tenant, MAY, {"a": Decimal(12)})
    rate(months, tenant, JUNE, {"a": Decimal(100)})
    own, correction = close(months, JUNE, tenant)
    assert [(line.kind, line.amount_minor) for line in own.lines] == [("usage", 9213)]
    assert (correction.currency, [line.amount_minor for line in correction.lines]) == ("USD", [200])


def test_what_waits_for_the_next_invoice_can_be_looked_up(months: duckdb.DuckDBPyConnection, tenant: str) -> None:
    rate(months, tenant, MAY, {"a": Decimal(10)})
    close(months, MAY, tenant)
    rate(months, tenant, MAY, {"a": Decimal(12)})
    due = "SELECT month, line_item, due_usd FROM billing.corrections_due WHERE tenant_id = $1"
    build_table(months, "billing.corrections_due")
    assert months.execute(due, [tenant]).fetchall() == [("2026-05", "a", Decimal(2))]
    close(months, JUNE, tenant)
    build_table(months, "billing.corrections_due")
    assert months.execute(due, [tenant]).fetchall() == []
