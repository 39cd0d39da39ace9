"""What an invoice's usage was for: issued once with it, only to its tenant, and of its own month."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import count
from typing import Any

import duckdb
import pytest

from billing.months import JUNE, MAY, NOW, close, explain, months_in_memory, policy, rate, register, use
from tokenboard_etl.billing.credit_notes import issue_credit_note
from tokenboard_etl.billing.invoice import Invoice
from tokenboard_etl.billing.issued import issued_document
from tokenboard_etl.billing.known_operations import operations_checksum
from tokenboard_etl.errors import CheckFailed
from tokenboard_etl.rendering.invoices import render_invoice
from tokenboard_etl.warehouse.checks import all_checks, run_checks

FRESH = (f"tenant-{number}" for number in count(1))
ONE, TWO = Decimal(1), Decimal(2)
OF_INVOICES = [check for check in all_checks() if check.table == "billing.invoices"]


@pytest.fixture(scope="module")
def months() -> Iterator[duckdb.DuckDBPyConnection]:
    with months_in_memory() as connection:
        use(connection, policy(fees=[{"id": "fee", "description": "Fee", "amount": 5, "from": "2026-01-01"}]))
        yield connection


@pytest.fixture
def tenant(months: duckdb.DuckDBPyConnection) -> str:
    name = next(FRESH)
    register(months, name)
    return name


def told(invoice: Invoice) -> list[tuple[Any, ...]]:
    return [(row.row_no, row.part, row.key, row.amount_minor) for row in invoice.appendix]


def failed(months: duckdb.DuckDBPyConnection) -> list[str]:
    return sorted(each.check.name for each in run_checks(months, OF_INVOICES) if not each.passed)


def test_usage_is_told_by_category_and_by_job_the_largest_first_and_what_is_for_none_last(
    months: duckdb.DuckDBPyConnection, tenant: str
) -> None:
    """Three lines of a third of a cent too much each: what is printed is what is shared out."""
    rate(months, tenant, MAY, {item: Decimal("1.005") for item in "abc"})
    explain(
        months,
        tenant,
        MAY,
        {"x": ONE, "uncategorised": Decimal("1.515"), "y": Decimal("0.5"), "unused": Decimal(0)},
        {None: TWO, "": Decimal("0.015"), "J-2": Decimal("0.5"), "J-1": Decimal("0.5"), "J-3": Decimal(0)},
    )
    other = next(FRESH)
    register(months, other)
    rate(months, other, MAY, {"a": ONE})
    explain(months, other, MAY, {"uncategorised": ONE}, {"J-1": ONE})
    mine, theirs = close(months, MAY, tenant)[0], close(months, MAY, other)[0]
    assert mine.usage_minor == 303
    assert told(mine) == [
        (1, "category", "x", 101),
        (2, "category", "y", 50),
        (3, "category", "uncategorised", 152),
        (4, "job", "J-1", 50),
        (5, "job", "J-2", 50),
        (6, "job", "J-3", 0),
        (7, "no_job", "", 2),
        (8, "rest", "", 201),
    ]
    assert told(theirs) == [(1, "job", "J-1", 100)]
    titles = {row.title: (row.cvs, row.questions, row.minutes) for row in mine.appendix if row.part in ("job", "rest")}
    assert titles == {
        **{f"Opening J-{number}": (3, 0, Decimal("1.5")) for number in (1, 2, 3)},
        None: (None, None, None),
    }
    assert issued_document(months, mine.number) == mine
    assert failed(months) == []
    months.execute("UPDATE billing.invoice_appendix SET amount_minor = amount_minor + 1 WHERE row_no = 4")
    assert failed(months) == ["appendices_add_up_to_the_usage"]
    months.execute("UPDATE billing.invoice_appendix SET amount_minor = amount_minor - 1 WHERE row_no = 4")
    months.execute("UPDATE billing.invoice_appendix SET invoice_number = 'INV-0' WHERE row_no = 4")
    assert failed(months) == ["appendices_add_up_to_the_usage", "documents_are_whole"]
    months.execute("UPDATE billing.invoice_appendix SET invoice_number = $1 WHERE row_no = 4", [mine.number])


@pytest.mark.parametrize(
    ("categories", "jobs"),
    [({}, {}), ({"uncategorised": ONE}, {None: ONE})],
    ids=["nothing is known", "all of it is for nothing known"],
)
def test_without_categories_and_operations_there_is_none(
    months: duckdb.DuckDBPyConnection, tenant: str, categories: dict[str, Decimal], jobs: dict[str | None, Decimal]
) -> None:
    rate(months, tenant, MAY, {"a": ONE})
    explain(months, tenant, MAY, categories, jobs)
    (invoice,) = close(months, MAY, tenant)
    assert invoice.appendix == ()
    assert "Appendix" not in render_invoice(invoice).html.decode()


def test_operations_without_usage_are_on_no_invoice(months: duckdb.DuckDBPyConnection, tenant: str) -> None:
    """A customer who pays only the fee."""
    months.execute(
        "INSERT INTO registry.accounts VALUES ($1, 'openai', 'project', $1, '2026-01-01', NULL, $2)", [tenant, NOW]
    )
    explain(months, tenant, MAY, {}, {"J-1": Decimal(0)})
    (invoice,) = close(months, MAY, tenant)
    assert [line.kind for line in invoice.lines] == ["fee"]
    assert invoice.appendix == ()


def test_the_next_appendix_is_of_its_own_month_and_the_first_one_stays(
    months: duckdb.DuckDBPyConnection, tenant: str
) -> None:
    """May is restated and its operations become known too late; June corrects the money alone."""
    rate(months, tenant, MAY, {"a": ONE})
    explain(months, tenant, MAY, {"x": ONE}, {})
    (may,) = close(months, MAY, tenant)
    rate(months, tenant, MAY, {"a": TWO})
    explain(months, tenant, MAY, {"x": TWO}, {"J-1": TWO})
    rate(months, tenant, JUNE, {"a": Decimal("0.5")})
    explain(months, tenant, JUNE, {"y": Decimal("0.5")}, {})
    (june,) = close(months, JUNE, tenant)
    assert {line.kind: line.amount_minor for line in june.lines} == {"usage": 50, "fee": 500, "adjustment": 100}
    assert told(june) == [(1, "category", "y", 50)]
    assert told(issued_document(months, may.number)) == [(1, "category", "x", 100)]


def test_what_gives_money_back_has_none(months: duckdb.DuckDBPyConnection, tenant: str) -> None:
    """Neither a month that comes to less than nothing, nor the reversal of an invoice that has one."""
    rate(months, tenant, MAY, {"a": -10 * ONE})
    explain(months, tenant, MAY, {"x": -10 * ONE}, {})
    rate(months, tenant, JUNE, {"a": ONE})
    explain(months, tenant, JUNE, {"x": ONE}, {})
    (negative,), (invoice,) = close(months, MAY, tenant), close(months, JUNE, tenant)
    reversal = issue_credit_note(months, invoice.number, NOW, render_invoice, reason="agreed")
    assert (negative.kind, negative.appendix) == ("credit_note", ())
    assert (reversal.kind, reversal.appendix) == ("credit_note", ())
    assert told(issued_document(months, invoice.number)) == [(1, "category", "x", 100)]


def test_parts_that_are_not_the_whole_are_issued_by_nobody(months: duckdb.DuckDBPyConnection, tenant: str) -> None:
    rate(months, tenant, MAY, {"a": ONE})
    explain(months, tenant, MAY, {"x": ONE}, {"J-1": ONE - Decimal("1e-24")})
    with pytest.raises(CheckFailed, match=rf"the usage of {tenant} in 2026-05 was for does not add up to it"):
        close(months, MAY, tenant)


def test_an_issue_notes_the_operations_of_its_month_that_were_loaded_before_it(
    months: duckdb.DuckDBPyConnection, tenant: str
) -> None:
    """Whatever clocks say: all of them were loaded at one instant."""

    def load(operation: str, day: str) -> None:
        months.execute(
            """
            INSERT INTO ops.operations BY NAME
            SELECT $1 AS operation_id, 'cv-parsing' AS type, $2::DATE::TIMESTAMPTZ AS occurred_at,
                $2::DATE AS usage_date, 'acme' AS tenant_id, 'J' AS job_id, 1 AS quantity, 'cvs' AS unit,
                true AS success, $3 AS loaded_at, (SELECT coalesce(max(issue_no), 0) FROM billing.issues) AS after_issue
            """,
            [operation, day, NOW],
        )

    def noted() -> tuple[int, str]:
        rows = months.execute(
            "SELECT issue_no, sha256 FROM billing.issue_states WHERE table_name = 'ops.operations' ORDER BY issue_no"
        ).fetchall()
        return rows[-1]

    load("op-1", "2026-05-03")
    rate(months, tenant, MAY, {"a": ONE})
    close(months, MAY, tenant)
    issue_no, sha256 = noted()
    load("op-2", "2026-05-03")
    load("op-3", "2026-06-01")
    assert operations_checksum(months, issue_no, "2026-05") == sha256
    assert operations_checksum(months, issue_no + 1, "2026-05") != sha256
    months.execute("UPDATE ops.operations SET job_id = 'K' WHERE operation_id = 'op-1'")
    assert operations_checksum(months, issue_no, "2026-05") != sha256
