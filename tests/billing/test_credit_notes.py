"""Reversing an invoice: in full, by line, by amount; never more than it came to, and nothing comes back by itself."""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import Decimal
from itertools import count

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from billing.months import AUGUST, JULY, JUNE, MAY, NOW, close, months_in_memory, policy, rate, register, use
from examples import examples
from tokenboard_etl.billing.credit_notes import credit_note_of, issue_credit_note
from tokenboard_etl.billing.invoice import Invoice
from tokenboard_etl.errors import TokenboardError, WrongUse
from tokenboard_etl.rendering.invoices import render_invoice
from tokenboard_etl.warehouse.checks import all_checks, refuse_violations, run_checks
from tokenboard_etl.warehouse.sql_files import read_sql

FRESH = (f"tenant-{number}" for number in count())
POLICY = policy(
    credits=[
        {
            "id": f"gift-{number}",
            "tenant": f"tenant-{number}",
            "kind": "promotional",
            "amount": "3",
            "from": "2026-01-01",
        }
        for number in range(0, 400, 2)
    ],
    taxes=[{"id": "vat", "name": "VAT", "percent": "19", "from": "2026-01-01"}],
)
OF_INVOICES = [check for check in all_checks() if check.table == "billing.invoices"]


@pytest.fixture(scope="module")
def months() -> Iterator[duckdb.DuckDBPyConnection]:
    with months_in_memory() as connection:
        use(connection, POLICY)
        yield connection


def invoice(months: duckdb.DuckDBPyConnection, *usd: str, with_credit: bool = False) -> Invoice:
    """May of a new tenant, a line for each amount; one with a credit of three dollars or one without."""
    tenant = next(FRESH)
    while (int(tenant.removeprefix("tenant-")) % 2 == 0) != with_credit:
        tenant = next(FRESH)
    register(months, tenant)
    rate(months, tenant, MAY, {f"item {n}": Decimal(each) for n, each in enumerate(usd, start=1)})
    (issued,) = close(months, MAY, tenant)
    return issued


def note(months: duckdb.DuckDBPyConnection, number: str, *lines: int, amount_minor: int | None = None) -> Invoice:
    return issue_credit_note(
        months, number, NOW, render_invoice, reason="agreed", line_nos=lines, amount_minor=amount_minor
    )


def status(months: duckdb.DuckDBPyConnection, number: str) -> tuple[str, int]:
    rows = months.execute(
        "SELECT status, credited_minor FROM billing.invoices WHERE invoice_number = $1", [number]
    ).fetchall()
    return rows[0]


def test_a_full_credit_note_takes_back_everything_under_a_number_of_its_own(months: duckdb.DuckDBPyConnection) -> None:
    original = invoice(months, "10.004", "5")
    before = months.execute("FROM billing.documents WHERE invoice_number = $1", [original.number]).fetchall()
    reversal = note(months, original.number)
    assert (reversal.kind, reversal.corrects, reversal.reason) == ("credit_note", original.number, "agreed")
    assert (reversal.net_minor, reversal.tax_minor, reversal.total_minor) == (-1500, -285, -1785)
    assert [(line.original_line, line.billed_exact) for line in reversal.lines] == [
        (1, Decimal("-10.004")),
        (2, Decimal(-5)),
    ]
    assert int(reversal.number[-5:]) == int(original.number[-5:]) + 1
    assert status(months, original.number) == ("credited", 1785)
    assert months.execute("FROM billing.documents WHERE invoice_number = $1", [original.number]).fetchall() == before
    with pytest.raises(WrongUse, match="credited in full already"):
        note(months, original.number)
    with pytest.raises(WrongUse, match="is a credit note"):
        note(months, reversal.number)
    text = render_invoice(reversal).html.decode()
    assert "Credit note" in text
    assert "Reason: <bdi>agreed</bdi>" in text


def test_lines_and_amounts_are_credited_until_nothing_is_left(months: duckdb.DuckDBPyConnection) -> None:
    original = invoice(months, "10", "20", "0.05")
    assert note(months, original.number, 2).total_minor == -2380
    assert status(months, original.number) == ("partly_credited", 2380)
    with pytest.raises(WrongUse, match=r"Line 2 .* is credited already"):
        note(months, original.number, 2)
    with pytest.raises(WrongUse, match="more than is left"):
        note(months, original.number, amount_minor=1006)
    with pytest.raises(WrongUse, match="no line 4"):
        note(months, original.number, 4)
    with pytest.raises(WrongUse, match="either lines or an amount"):
        note(months, original.number, 1, amount_minor=5)
    with pytest.raises(WrongUse, match="more than zero"):
        note(months, original.number, amount_minor=0)
    assert note(months, original.number, amount_minor=3).net_minor == -3
    rest = note(months, original.number)
    assert (rest.net_minor, [line.original_line for line in rest.lines]) == (-1002, [1, 3, None])
    assert status(months, original.number) == ("credited", original.total_minor)


def test_an_invoice_nobody_issued_cannot_be_credited(months: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(WrongUse, match="no document 'INV-0'"):
        note(months, "INV-0")


def test_the_credit_used_comes_back_with_the_whole_invoice(months: duckdb.DuckDBPyConnection) -> None:
    original = invoice(months, "10", with_credit=True)
    assert original.net_minor == 700
    with pytest.raises(WrongUse, match="asks for nothing"):
        note(months, original.number, 2)
    with pytest.raises(WrongUse, match="more than is left"):
        note(months, original.number, 1)
    note(months, original.number)
    rate(months, original.buyer.tenant_id, JUNE, {"a": Decimal(1)})
    (following,) = close(months, JUNE, original.buyer.tenant_id)
    assert [use.amount_minor for use in following.credit_uses] == [100]
    refuse_violations(run_checks(months, OF_INVOICES))


def test_a_credit_that_was_raised_since_comes_back_as_well(months: duckdb.DuckDBPyConnection) -> None:
    """Of 5.00 an invoice uses 1.00, of the same credit's 10.00 the next one 8.00: 8.00 stand when the first is gone."""
    tenant = next(FRESH)
    register(months, tenant)
    gift = {"id": f"more-{tenant}", "tenant": tenant, "kind": "prepaid", "from": "2026-01-01"}
    use(months, policy(credits=[{**gift, "amount": "5"}]))
    rate(months, tenant, MAY, {"a": Decimal(1)})
    (first,) = close(months, MAY, tenant)
    use(months, policy(credits=[{**gift, "amount": "10"}]))
    rate(months, tenant, JUNE, {"a": Decimal(8)})
    close(months, JUNE, tenant)
    note(months, first.number)
    refuse_violations(run_checks(months, OF_INVOICES))
    rate(months, tenant, JULY, {"a": Decimal(8)})
    (last,) = close(months, JULY, tenant)
    assert [use.amount_minor for use in last.credit_uses] == [200]
    use(months, POLICY)


def test_what_was_taken_back_does_not_return_and_a_reversed_month_is_settled(
    months: duckdb.DuckDBPyConnection,
) -> None:
    whole, part = invoice(months, "10"), invoice(months, "10", "4")
    note(months, whole.number)
    note(months, part.number, 2)
    for original, restated in ((whole, {"item 1": Decimal(12)}), (part, {"item 1": Decimal(12), "item 2": Decimal(4)})):
        tenant = original.buyer.tenant_id
        rate(months, tenant, JUNE, {"a": Decimal(1)})
        (unchanged,) = close(months, JUNE, tenant)
        assert [line.kind for line in unchanged.lines] == ["usage"]
        rate(months, tenant, MAY, restated)
        rate(months, tenant, JULY, {"a": Decimal(1)})
        (following,) = close(months, JULY, tenant)
        corrected = [line.amount_minor for line in following.lines if line.kind == "adjustment"]
        assert corrected == ([] if original is whole else [200])


def test_a_line_that_was_taken_back_is_not_given_back_again(months: duckdb.DuckDBPyConnection) -> None:
    """Billed and taken back, 4.00 is restated to nothing, to 5.00 and to a refund of 1.00; what is left follows."""
    original = invoice(months, "10", "4")
    tenant = original.buyer.tenant_id
    note(months, original.number, 2)
    adjusted = []
    for month, now in ((JUNE, "0"), (JULY, "5"), (AUGUST, "-1")):
        rate(months, tenant, MAY, {"item 1": Decimal(10), "item 2": Decimal(now)})
        rate(months, tenant, month, {"a": Decimal(1)})
        (due,) = months.execute(
            f"SELECT coalesce(sum(due_usd), 0) FROM ({read_sql('billing.corrections_due').query}) WHERE tenant_id = $1",
            [tenant],
        ).fetchall()
        (following,) = close(months, month, tenant)
        lines = [line for line in following.lines if line.kind == "adjustment"]
        assert sum(line.billed_exact for line in lines) == due[0]
        adjusted.append([line.amount_minor for line in lines])
    assert adjusted == [[], [100], [-200]]  # 4 - 4, then + 1, then down to - 1


def test_an_amount_is_not_credited_twice_by_a_command_that_is_run_twice(months: duckdb.DuckDBPyConnection) -> None:
    original = invoice(months, "10")
    first = note(months, original.number, amount_minor=100)
    with pytest.raises(WrongUse, match=f"{first.number} credits {original.number} with the same amount"):
        note(months, original.number, amount_minor=100)
    assert note(months, original.number, amount_minor=101).net_minor == -101
    again = issue_credit_note(months, original.number, NOW, render_invoice, reason="late", amount_minor=100)
    assert again.net_minor == -100


@pytest.mark.slow
@settings(
    max_examples=examples(25),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(st.decimals(min_value=-5, max_value=60, places=4), min_size=1, max_size=5),
    st.booleans(),
    st.integers(0, 10_000),
)
def test_all_notes_together_never_take_back_more_and_a_last_one_takes_back_the_rest(
    months: duckdb.DuckDBPyConnection, usd: list[Decimal], with_credit: bool, seed: int
) -> None:
    original = invoice(months, *map(str, usd), with_credit=with_credit)
    if original.kind != "invoice":
        return
    drawn, notes = random.Random(seed), list[Invoice]()
    for _ in range(4):
        lines = [drawn.randint(1, len(usd))] if drawn.random() < 0.5 else []
        amount = None if lines else drawn.randint(1, 2000)
        try:
            notes.append(note(months, original.number, *lines, amount_minor=amount))
        except TokenboardError:
            continue
        assert original.total_minor + sum(each.total_minor for each in notes) >= 0
    try:
        notes.append(note(months, original.number))
    except WrongUse:
        assert sum(each.net_minor for each in notes) == -original.net_minor
    for field in ("net_minor", "tax_minor", "total_minor"):
        assert sum(getattr(each, field) for each in notes) == -getattr(original, field)
    assert status(months, original.number) == ("credited", original.total_minor)
    refuse_violations(run_checks(months, OF_INVOICES))


def test_lines_of_several_rates_are_credited_by_line_alone(months: duckdb.DuckDBPyConnection) -> None:
    original = invoice(months, "10", "20")
    use(months, policy(taxes=[{"id": "vat", "name": "VAT", "percent": "7", "from": "2026-01-01"}]))
    rate(months, original.buyer.tenant_id, MAY, {"item 1": Decimal(11), "item 2": Decimal(20)})
    rate(months, original.buyer.tenant_id, AUGUST, {"item 1": Decimal(100)})
    (mixed,) = close(months, AUGUST, original.buyer.tenant_id)
    use(months, POLICY)
    with pytest.raises(WrongUse, match="taxed differently"):
        note(months, mixed.number, amount_minor=100)
    reversal = credit_note_of(mixed, [], POLICY.policy, NOW, "agreed", [2])
    assert [(each.tax.code, each.tax_minor) for each in reversal.taxes] == [("VAT 19%", -19)]
