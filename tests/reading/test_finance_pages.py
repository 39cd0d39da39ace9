"""Register, reconciliation and overview against the world they are about, read as a browser and a spreadsheet would."""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from dataclasses import replace
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from pathlib import Path

import duckdb
import pytest

from reading.conftest import CLOSED, LAST_DAY, RUNNING, Ask, Spent, total
from reading.tables import Said, cents, column, read, said_by
from tokenboard_etl.periods import Month
from tokenboard_etl.providers.sandbox.world import World
from tokenboard_etl.reading.overview_figures import BudgetAlert, Credit, LooseAccount, Overview, Source, overview
from tokenboard_etl.reading.published import UNALLOCATED
from tokenboard_etl.reading.reconciliation_figures import reconciliation
from tokenboard_etl.reading.register_figures import Entry, Register
from tokenboard_etl.rendering.overview import TODAY, alarms, render_overview
from tokenboard_etl.rendering.reconciliation import render_reconciliation
from tokenboard_etl.rendering.register import register_csv

pytestmark = pytest.mark.slow

MONTHS = pytest.mark.parametrize("month", [CLOSED, RUNNING], ids=str)
CENT = Decimal("0.01")
NOW = date(2026, 6, 10)


def to_cents(amounts: list[Fraction]) -> Decimal:
    return total(amounts).quantize(CENT, ROUND_HALF_UP)


def by_tenant(spent: list[Spent], month: Month) -> dict[str, list[Spent]]:
    found: dict[str, list[Spent]] = defaultdict(list)
    for row in spent:
        if row.month == str(month):
            found[row.tenant_id].append(row)
    return found


@pytest.fixture
def connection(published: Path) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(published, read_only=True)


def sheet(world_home: Path, month: Month) -> list[dict[str, str]]:
    with (world_home / "reports" / str(month) / "register.csv").open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


# --- register


@MONTHS
def test_the_csv_adds_up_to_the_providers_bills_exactly(world_home: Path, spent: list[Spent], month: Month) -> None:
    rows = sheet(world_home, month)
    for tenant_id, theirs in by_tenant(spent, month).items():
        (row,) = [each for each in rows if each["tenant_id"] == tenant_id and each["cost_usd"]]
        cost, billed = (total([getattr(each, name) for each in theirs]) for name in ("cost_usd", "billed_usd"))
        assert (Decimal(row["cost_usd"]), Decimal(row["billed_usd"])) == (cost, billed)
        assert Fraction(row["margin_usd"]) == Fraction(billed) - Fraction(cost)
    everything = total([row.cost_usd for row in spent if row.month == str(month)])
    assert sum(Fraction(row["cost_usd"] or 0) for row in rows) == Fraction(everything)


@MONTHS
def test_the_register_has_every_document_with_its_amounts(world_home: Path, ask: Ask, month: Month) -> None:
    issued = ask(
        """
        SELECT invoice_number, tenant_id, status, currency, net_minor, tax_minor, total_minor
        FROM billing.invoices WHERE month = $1 ORDER BY tenant_id, invoice_number
        """,
        str(month),
    )
    assert (len(issued) > 3) is (month == CLOSED)
    rows = [row for row in sheet(world_home, month) if row["invoice_number"]]
    assert [
        (row["invoice_number"], row["tenant_id"], row["status"], row["currency"], *(
            int(Decimal(row[name]).scaleb(2)) for name in ("net", "tax", "total")
        ))
        for row in rows
    ] == issued  # fmt: skip
    table = said_by(world_home / "reports" / str(month) / "register.html").tables["Documents and tenants"]
    shown = {row[1]: tuple(map(cents, row[5:8])) for row in table if row[1].startswith("INV-")}
    assert shown == {row[0]: tuple(Decimal(minor).scaleb(-2) for minor in row[4:]) for row in issued}


@MONTHS
def test_the_register_page_shows_cost_billed_and_margin(world_home: Path, spent: list[Spent], month: Month) -> None:
    table = said_by(world_home / "reports" / str(month) / "register.html").tables["Documents and tenants"]
    names = {tenant.tenant_id: f"{tenant.name} {tenant.tenant_id}" for tenant in World().tenants}
    place = table[0].index("Cost")
    rows = {" ".join(row[0].split()): row for row in table}
    for tenant_id, theirs in by_tenant(spent, month).items():
        row = rows.get(names.get(tenant_id, tenant_id)) or rows[names[tenant_id].replace(f" {tenant_id}", tenant_id)]
        cost, billed = [each.cost_usd for each in theirs], [each.billed_usd for each in theirs]
        margin = to_cents([*billed, *(-each for each in cost)])
        assert list(map(cents, row[place : place + 3])) == [to_cents(cost), to_cents(billed), margin]


@MONTHS
def test_no_cell_of_the_csv_is_a_formula(world_home: Path, month: Month) -> None:
    cells = [cell for row in sheet(world_home, month) for cell in row.values()]
    assert any(cell.startswith("'=1+1") for cell in cells)
    for cell in cells:
        if cell.startswith(("=", "+", "-", "@", "\t", "\r")):
            assert Decimal(cell) < 0


HOSTILE = (
    "=1+1",
    "a;=cmd|' /C calc'!A0",
    "a\t@SUM(A1)",
    'b"\n+1',
    "\uff1d1",
    " \u00a0-2+3",
    "x|=1",
    "-",
    "Ann, =1",
    'x;"=1";',
)


def test_no_part_of_a_cell_is_a_formula_whatever_a_spreadsheet_separates_cells_by() -> None:
    zero = Decimal(0)
    entries = [Entry("acme", name, None, None, None) for name in HOSTILE]
    text = register_csv(Register(CLOSED, entries, [], zero, zero, zero, zero)).decode("utf-8-sig")
    cells = [row["tenant_name"] for row in csv.DictReader(io.StringIO(text))]
    assert [cell.replace("'", "") for cell in cells] == [name.replace("'", "") for name in HOSTILE]
    for separators in (",", ";", "\t", "|", ",;\t|"):
        parts = re.split(f"[{separators}\r\n]", text)
        assert [part for part in parts if re.match(r"""["\s]*[=+\-@\uff1d]""", part)] == []


# --- reconciliation


@MONTHS
def test_the_providers_totals_are_tenants_and_unallocated(world_home: Path, spent: list[Spent], month: Month) -> None:
    said = said_by(world_home / "reports" / str(month) / "reconciliation.html")
    table = said.tables["By account"]
    for row, provider in zip(table[1:], ("openai", "openrouter"), strict=True):
        theirs = [each for each in spent if (each.provider, each.month) == (provider, str(month))]
        nobodys = [each.cost_usd for each in theirs if each.tenant_id == UNALLOCATED]
        tenants = [each.cost_usd for each in theirs if each.tenant_id != UNALLOCATED]
        assert list(map(cents, row[3:6])) == [to_cents([*tenants, *nobodys]), to_cents(tenants), to_cents(nobodys)]
        assert row[6] == "exact"
    days = said.tables["By day"]
    assert len(days) - 1 == 2 * (LAST_DAY.day if month == RUNNING else 31)
    assert set(column(days, "Difference")) == {"exact"}
    assert column(days, "Provider says") == column(days, "Control total")


def test_restatements_are_told_with_their_sum(world_home: Path, ask: Ask) -> None:
    said = said_by(world_home / "reports" / str(CLOSED) / "reconciliation.html")
    told = ask(
        """
        SELECT connection_id, count(*), round(sum(coalesce(current_usd, 0) - coalesce(previous_usd, 0)), 2)
        FROM billing.restatements WHERE usage_date < DATE '2026-06-01' GROUP BY ALL ORDER BY ALL
        """
    )
    assert told
    table = said.tables["What providers restated"]
    assert [(row[1], int(row[3]), cents(row[4])) for row in table[1 : len(told) + 1]] == told


def test_a_difference_is_shown_to_its_last_digit(connection: duckdb.DuckDBPyConnection) -> None:
    figures = reconciliation(connection, CLOSED)
    connection.close()
    wrong = replace(figures.days[0], difference_usd=Decimal("0.000000000000000001"))
    said = read(render_reconciliation(replace(figures, days=[wrong, *figures.days[1:]])).decode())
    assert column(said.tables["By day"], "Difference")[:2] == ["1E-18", "exact"]


# --- overview


@pytest.fixture
def seen(connection: duckdb.DuckDBPyConnection) -> Overview:
    figures = overview(connection)
    connection.close()
    return figures


def test_the_overview_has_every_tenant_and_every_loose_account(world_home: Path, spent: list[Spent]) -> None:
    said = said_by(world_home / "reports" / "overview.html")
    theirs = by_tenant(spent, RUNNING)
    cost = {row[-1]: row[0] for row in ((cells[1], cells[0]) for cells in said.tables["Tenants"])}
    assert cents(cost["All"]) == to_cents([row.cost_usd for rows in theirs.values() for row in rows])
    assert cents(cost["Unallocated"]) == to_cents([row.cost_usd for row in theirs[UNALLOCATED]])
    loose: dict[tuple[str, str], list[Fraction]] = defaultdict(list)
    for row in theirs[UNALLOCATED]:
        loose[row.provider, row.account_id].append(row.cost_usd)
    amounts = sorted((to_cents(each) for each in loose.values() if sum(each)), reverse=True)
    assert list(map(cents, column(said.tables["Unallocated"], "Cost"))) == amounts
    assert "script" not in said.tags
    assert "<script>" in said.text


def test_who_left_with_the_month_before_is_shown_without_a_link_to_a_statement_that_is_not_there(copy: Path) -> None:
    gone = "contoso-retail"
    with duckdb.connect(copy) as connection:
        connection.execute("UPDATE registry.tenants SET status = 'offboarded' WHERE tenant_id = $1", [gone])
        links = read(render_overview(overview(connection), NOW).decode()).links
        assert f"{RUNNING}/{gone}/statement.html" in links
        connection.execute(
            f"DELETE FROM billing.tenant_days WHERE tenant_id = '{gone}' AND usage_date >= '{RUNNING}-01'"
        )
        said = read(render_overview(overview(connection), NOW).decode())
    assert f"{RUNNING}/{gone}/statement.html" not in said.links
    assert any(gone in row[0] for row in said.tables["Tenants"])


USUAL = Source("openai", "openai", "costs", True, date(2026, 6, 9), None, 0, 0, None)


def credit(available: str | None, days_left: int | None, reason: str | None = None) -> Credit:
    left = None if available is None else Decimal(available)
    return Credit("openrouter", "router", NOW, Decimal(100), Decimal(1), left, days_left, reason)


def test_what_needs_somebody_is_said_first(seen: Overview) -> None:
    quiet = replace(seen, unallocated=[], budgets=[], credits=[credit("50", 31)], sources=[USUAL])
    assert list(alarms(quiet, NOW)) == []
    assert "Nothing." in read(render_overview(quiet, NOW).decode()).text

    loose = LooseAccount("openai", "openai", "proj_x", None, NOW, NOW, Decimal(1))
    spent = BudgetAlert("acme", Decimal(1), Decimal(2), Decimal(-1), Decimal(3), 100, 100)
    loud = replace(
        seen,
        tenants=[replace(seen.tenants[0], is_low=True)],
        unallocated=[loose],
        budgets=[spent, replace(spent, tenant_id="beta", remaining_usd=Decimal(1))],
        credits=[credit("5", 6), credit("20", 29), credit(None, None, "no permission"), credit("-1", None)],
        sources=[
            replace(USUAL, read_until=date(2026, 6, 8)),
            replace(USUAL, report="a", fetch_before=date(2026, 6, 16), missing_days=2),
            replace(USUAL, report="b", fetch_before=date(2026, 6, 17), missing_days=2),
            replace(USUAL, report="c", lost_days=3),
            replace(USUAL, report="d", gates_closing=False, read_until=None, lost_days=9),
        ],
    )
    found = list(alarms(loud, NOW))
    today = [words for level, words in found if level == TODAY]
    assert today == [
        "costs of openai: read up to 2026-06-08, yesterday is missing",
        "a of openai: missing days are lost after 2026-06-16; run tokenboard nightly for them",
        "budget spent: acme",
        f"margin too low: {seen.tenants[0].tenant_id}",
        "credit of router: $5.00 left, 6 day(s) at the present pace",
        "credit of router is used up",
    ]
    assert [words for level, words in found if level != TODAY] == [
        "c of openai: 3 day(s) can no longer be fetched",
        "threshold of the budget reached, or will be at the month's end: beta",
        "credit of router: $20.00 left, 29 day(s) at the present pace",
        "credit of router is not known: no permission",
        "1 account with spend nobody is bound to",
    ]
    said: Said = read(render_overview(loud, NOW).decode())
    assert all(words in said.text for _, words in found)


def test_credit_lasts_as_long_as_the_pace_of_a_week_says(copy: Path) -> None:
    copy.chmod(0o644)
    with duckdb.connect(copy) as connection:
        connection.execute(
            """
            INSERT INTO credits.balances BY NAME
            SELECT
                DATE '2026-06-01' + CAST(days AS INTEGER) AS snapshot_date,
                'openrouter' AS provider, 'r' AS connection_id,
                1000 AS granted_usd, 100 + days * 10 AS used_usd, 900 - days * 10 AS available_usd,
                CASE WHEN days < 3 THEN 900 ELSE 10 END AS used_delta_usd, 1 AS span_days
            FROM range(10) AS numbers(days)
            """
        )
    with duckdb.connect(copy, read_only=True) as connection:
        (found,) = [each for each in overview(connection).credits if each.connection_id == "r"]
    assert (found.available_usd, found.days_left) == (Decimal(810), 81)
