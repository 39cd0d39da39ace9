"""Numbers have no gap and no duplicate: eight processes at once, and kill -9 after any statement."""

from __future__ import annotations

import multiprocessing
import random
import shutil
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from billing.killed import Action, close_june, credit_the_first, run_and_die, statements_of
from billing.months import JUNE, MAY, close, explain, months_on_disk, policy, rate, register, use
from chaos.report import Line, Report
from tokenboard_etl.documents import altered_documents
from tokenboard_etl.errors import PolicyError, WrongUse
from tokenboard_etl.warehouse.checks import all_checks, blocking_failures, refuse_violations, run_checks
from tokenboard_etl.warehouse.connection import open_warehouse

TENANTS = ("acme", "beta", "gamma")
POLICY = policy(
    fees=[{"id": "fee", "description": "Platform fee", "amount": "9.99", "from": "2026-01-01"}],
    credits=[
        {"id": f"gift-{name}", "tenant": name, "kind": "promotional", "amount": "30", "from": "2026-01-01"}
        for name in TENANTS
    ],
    taxes=[{"id": "vat", "name": "VAT", "percent": "19", "from": "2026-01-01"}],
)
OF_INVOICES = [check for check in all_checks() if check.table == "billing.invoices"]
Records = dict[str, list[tuple[object, ...]]]
RECORDS = (
    *("documents", "invoice_lines", "invoice_taxes", "credit_uses", "invoice_appendix", "issues"),
    *("closed_months", "issue_source_days", "issue_states", "kept_states", "invoice_inputs"),
)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """May invoiced and restated, June to be closed: adjustments, fees, credits and tax in one transaction."""
    path = tmp_path_factory.mktemp("prepared") / "warehouse.duckdb"
    with months_on_disk(path) as connection:
        use(connection, POLICY)
        for position, tenant in enumerate(TENANTS, start=1):
            register(connection, tenant)
            rate(connection, tenant, MAY, {"a": Decimal(10 * position)})
            halves = dict.fromkeys(("J-1", None), Decimal(5 * position))
            explain(connection, tenant, MAY, {"cv-parsing": Decimal(10 * position)}, halves)
        close(connection, MAY)
        for position, tenant in enumerate(TENANTS, start=1):
            rate(connection, tenant, MAY, {"a": Decimal(11 * position)})
            rate(connection, tenant, JUNE, {"a": Decimal(position), "b": Decimal("0.005")})
            explain(connection, tenant, JUNE, {"cv-parsing": Decimal(position), "x": Decimal("0.005")}, {})
    return path


def copied(prepared: Path, folder: Path) -> Path:
    folder.mkdir()
    return Path(shutil.copyfile(prepared, folder / "warehouse.duckdb"))


def records(connection: duckdb.DuckDBPyConnection) -> Records:
    return {name: connection.execute(f"FROM billing.{name} ORDER BY ALL").fetchall() for name in RECORDS}


def killed_after(statements: Sequence[int] | None, action: Action, prepared: Path, folder: Path, report: Report) -> int:
    """Kills the action after each of the statements, then runs it again; everything must be as if never killed."""
    undisturbed = copied(prepared, folder / "undisturbed")
    total, flushed = statements_of(action, undisturbed, folder / "undisturbed" / "reports")
    with open_warehouse(undisturbed) as connection:
        expected = records(connection)
    with open_warehouse(prepared) as connection:
        before = records(connection)
    assert expected != before
    some = dict.fromkeys([*flushed[:2], *(each % total + 1 for each in statements or ())])
    chosen, failures = range(1, total + 1) if statements is None else list(some), list[str]()
    for statement in chosen:
        path = copied(prepared, folder / f"killed-{statement}")
        run_and_die(action, path, path.parent / "reports", statement)
        failures += [f"after statement {statement}: {each}" for each in wrong(action, path, before, expected)]
        shutil.rmtree(path.parent)
    told = f"kill -9 after {len(chosen)} of {total} statements"
    report.append(Line(f"issuing, {action.__name__}", len(chosen), len(failures), told))
    assert failures == []
    return total


def wrong(action: Action, path: Path, before: Records, expected: Records) -> Iterator[str]:
    """What is left of an action that was killed, after it was run again."""
    reports = path.parent / "reports"
    with open_warehouse(path) as connection:
        left = records(connection)
        if left not in (before, expected):
            yield "half an issue"
        if left == before:
            action(connection, reports)
        yield from altered_documents(connection, reports)  # and what is missing is written
        if records(connection) != expected:
            yield "the records are not those of an issue that was left alone"
        yield from blocking_failures(run_checks(connection, OF_INVOICES))
        files = {file.stem for file in reports.rglob("*.html")}
        if files != {row[0] for row in expected["documents"]}:
            yield f"the files are those of {files}"


ACTIONS = pytest.mark.parametrize("action", [close_june, credit_the_first])


@pytest.mark.slow
@ACTIONS
def test_an_issue_killed_after_some_statements_is_whole_or_not_there(
    action: Action, prepared: Path, tmp_path: Path, report: Report
) -> None:
    sample = random.Random(7).sample(range(1000), 2)
    assert killed_after([*sample, -1], action, prepared, tmp_path, report) > 12


@pytest.mark.endurance
@ACTIONS
def test_an_issue_killed_after_every_statement_is_whole_or_not_there(
    action: Action, prepared: Path, tmp_path: Path, report: Report
) -> None:
    killed_after(None, action, prepared, tmp_path, report)


def _close_one(path: Path, tenant: str) -> None:
    with open_warehouse(path) as connection:
        close(connection, MAY, tenant)


@pytest.mark.slow
def test_eight_processes_that_issue_at_once_leave_no_gap_and_no_duplicate(tmp_path: Path) -> None:
    path, tenants = tmp_path / "warehouse.duckdb", [f"t{number}" for number in range(6)]
    with months_on_disk(path) as connection:
        for tenant in tenants:
            register(connection, tenant)
            rate(connection, tenant, MAY, {"a": Decimal(1)})
    processes = [
        multiprocessing.get_context("spawn").Process(target=_close_one, args=(path, tenant))
        for tenant in [*tenants, *tenants[:2]]
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * 8
    with open_warehouse(path) as connection:
        numbers = connection.execute("SELECT invoice_number, tenant_id FROM billing.documents ORDER BY 1").fetchall()
        refuse_violations(run_checks(connection, OF_INVOICES))
    assert [number for number, _ in numbers] == [f"INV-2026-{position:05d}" for position in range(1, 7)]
    assert sorted(tenant for _, tenant in numbers) == tenants


def test_a_file_that_was_changed_is_found_and_one_that_is_missing_comes_back(prepared: Path, tmp_path: Path) -> None:
    path = copied(prepared, tmp_path / "home")
    with open_warehouse(path) as connection:
        assert altered_documents(connection, tmp_path) == []
        first, second, _ = sorted(tmp_path.glob("2026-05/*/*.html"))
        content = first.read_bytes()
        first.unlink()
        second.write_bytes(content)
        (said,) = altered_documents(connection, tmp_path)
        assert first.read_bytes() == content
        assert second.stem in said


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE billing.invoice_lines SET amount_minor = amount_minor + 1 WHERE line_no = 1 AND",
        "UPDATE billing.invoice_lines SET billed_exact = billed_exact + 1e-24::DECIMAL(38, 24) WHERE line_no = 2 AND",
        "UPDATE billing.invoice_lines SET taxes = NULL WHERE line_no = 1 AND",
        "DELETE FROM billing.invoice_lines WHERE line_no = 3 AND",
        "UPDATE billing.invoice_taxes SET base_minor = base_minor - 1 WHERE",
        "UPDATE billing.invoice_taxes SET tax = 'VAT' WHERE",
        "INSERT INTO billing.invoice_taxes BY NAME SELECT * REPLACE ('VAT' AS tax, 0 AS base_minor, 0 AS tax_minor) "
        "FROM billing.invoice_taxes WHERE",
        "UPDATE billing.credit_uses SET granted = 31 WHERE",
        "UPDATE billing.documents SET buyer_name = 'Nobody' WHERE",
        "UPDATE billing.documents SET buyer_name = 'Nobody', rows_sha256 = NULL WHERE",
        "UPDATE billing.invoice_appendix SET amount_minor = amount_minor + 1 WHERE row_no = 2 AND",
        "UPDATE billing.invoice_appendix SET title = NULL WHERE row_no = 2 AND",
        "DELETE FROM billing.invoice_appendix WHERE",
    ],
)
def test_a_row_that_was_changed_is_found(prepared: Path, tmp_path: Path, change: str) -> None:
    """Also where the file is gone: no other is written in its place."""
    path = copied(prepared, tmp_path / "home")
    with open_warehouse(path) as connection:
        assert altered_documents(connection, tmp_path) == []
        connection.execute(f"{change} invoice_number = 'INV-2026-00002'")
        (file,) = tmp_path.glob("2026-05/*/INV-2026-00002.html")
        file.unlink()
        (said,) = altered_documents(connection, tmp_path)
        assert said.startswith("the stored rows of INV-2026-00002 are not what was issued")
        assert not file.exists()


def test_a_number_is_never_printed_twice_and_a_series_is_one_sellers(prepared: Path, tmp_path: Path) -> None:
    path = copied(prepared, tmp_path / "home")
    with open_warehouse(path) as connection:
        use(connection, policy(invoice={"number": "RE-{year}-{number:03d}"}))
        assert [each.number for each in close(connection, JUNE, "acme")] == ["RE-2026-001"]
        named = {"seller": {"name": "Example GmbH"}}
        use(connection, policy(**named))
        assert [each.number for each in close(connection, JUNE, "beta")] == ["INV-2026-00004"]
        use(connection, policy(seller={"name": "Another GmbH"}))
        with pytest.raises(PolicyError, match="INV-2026-# are those of Example GmbH"):
            close(connection, JUNE, "gamma")
        with pytest.raises(WrongUse, match="no tenant"):
            close(connection, JUNE, "nobody")
        refuse_violations(run_checks(connection, OF_INVOICES))
        issued = records(connection)
        use(connection, policy(invoice={"number": "INV-{year}-0000{number}"}, **named))
        with pytest.raises(PolicyError, match="INV-2026-00001 was given in another series"):
            close(connection, JUNE, "gamma")
        assert records(connection) == issued
