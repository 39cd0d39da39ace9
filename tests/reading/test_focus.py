"""`export focus`: the world's figures, in a form the official validator of FOCUS accepts."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
from math import floor
from pathlib import Path
from typing import Any

import duckdb
import pytest

from reading.conftest import CLOSED, CLOSED_AT, RUNNING, Run, Spent, spent_by, total
from tokenboard_etl.errors import WrongUse
from tokenboard_etl.reading.focus import SIDES, Side, export_focus

pytestmark = pytest.mark.slow

MANDATORY = {
    *("BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd"),
    *("BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargePeriodEnd"),
    *("ChargePeriodStart", "ContractedCost", "EffectiveCost", "InvoiceIssuerName", "ListCost", "PricingQuantity"),
    *("PricingUnit", "ProviderName", "PublisherName", "ServiceCategory", "ServiceName"),
}
MEASURED = {"ConsumedQuantity", "ConsumedUnit", "SubAccountId", "SubAccountName", "SubAccountType", "InvoiceId"}
COSTS = ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost")
TEXT = (Path(__file__).parents[2] / "docs" / "focus.md").read_text()

Rows = list[dict[str, Any]]


def read(path: Path) -> Rows:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        relation = connection.sql("SELECT * FROM read_parquet($path)", params={"path": str(path)})
        names = relation.columns
        return [dict(zip(names, row, strict=True)) for row in relation.fetchall()]


def export(published: Path, month: object, side: Side, folder: Path) -> Rows:
    path, count = export_focus(published, str(month), side, "Seller Ltd", folder)
    assert path == folder / f"focus-{side}-{month}.parquet"
    rows = read(path)
    assert len(rows) == count
    assert [each.name for each in folder.iterdir() if each.name.endswith(".part")] == []
    return rows


def billed(rows: Rows) -> Decimal:
    return total(Fraction(row["BilledCost"]) for row in rows)


@pytest.mark.parametrize("side", SIDES)
def test_every_column_is_there_costs_are_decimal_and_the_mapping_is_documented(
    published: Path, tmp_path: Path, side: Side
) -> None:
    path, _ = export_focus(published, str(CLOSED), side, None, tmp_path)
    with duckdb.connect() as connection:
        described = connection.execute("DESCRIBE SELECT * FROM read_parquet($1)", [str(path)]).fetchall()
    types = {name: kind for name, kind, *_ in described}
    assert types.keys() >= MANDATORY | MEASURED
    assert {types[name] for name in COSTS} == {"DECIMAL(38,24)"}
    assert {types[name] for name in ("PricingQuantity", "ConsumedQuantity")} == {"DECIMAL(38,18)"}
    assert [name for name, kind in types.items() if "DOUBLE" in kind or "FLOAT" in kind] == []
    assert [name for name in types if f"`{name}`" not in TEXT] == []


# --- the cost side


def by_key(rows: list[Spent]) -> dict[tuple[object, ...], Fraction]:
    found: dict[tuple[object, ...], Fraction] = defaultdict(Fraction)
    for row in rows:
        if row.month == str(CLOSED):
            found[row.usage_date, row.provider, row.account_id, row.api_key_id, row.line_item] += row.cost_usd
    return found


def key_of(row: dict[str, Any]) -> tuple[object, ...]:
    item = "" if row["ChargeDescription"] == "not itemised" else row["ChargeDescription"]
    day, account, key = row["ChargePeriodStart"].date(), row["SubAccountId"] or "", row["x_ApiKeyId"] or ""
    return day, row["BillingAccountId"], account, key, item


def test_the_cost_side_is_the_providers_cost_as_it_was_closed_and_what_was_corrected_since(
    published: Path, tmp_path: Path, spent: list[Spent]
) -> None:
    rows = export(published, CLOSED, "cost", tmp_path)
    then, now = by_key(spent_by(CLOSED_AT)), by_key(spent)
    first = {key_of(row): Fraction(row["BilledCost"]) for row in rows if row["ChargeClass"] is None}
    corrections = {key_of(row): Fraction(row["BilledCost"]) for row in rows if row["ChargeClass"] == "Correction"}
    assert len(first) + len(corrections) == len(rows)
    assert {key: cost for key, cost in first.items() if cost} == {key: cost for key, cost in then.items() if cost}
    changed = {key: now.get(key, Fraction(0)) - then.get(key, Fraction(0)) for key in then.keys() | now.keys()}
    assert corrections == {key: delta for key, delta in changed.items() if delta}
    assert corrections
    assert billed(rows) == total(now.values())


def test_what_vanished_after_closing_is_there_twice_and_comes_to_nothing(copy: Path, tmp_path: Path) -> None:
    with duckdb.connect(copy) as connection:
        connection.execute(
            """
            INSERT INTO billing.restatements
            SELECT
                DATE '2026-05-07', 'openai', 'openai', 'proj_gone', 'key_gone', 'gone, input', 5, NULL, -5, 'load',
                seen_at
            FROM (VALUES (TIMESTAMPTZ '2026-06-09 02:00:00+00'), ('2026-05-09 02:00:00+00')) AS moments(seen_at)
            """
        )
    rows = [row for row in export(copy, CLOSED, "cost", tmp_path) if row["ChargeDescription"] == "gone, input"]
    assert {row["ChargeClass"]: row["BilledCost"] for row in rows} == {None: 5, "Correction": -5}
    assert {(row["SubAccountId"], row["SubAccountName"], row["x_TenantId"]) for row in rows} == {
        ("proj_gone", "proj_gone", None)
    }


def test_a_month_that_is_not_closed_has_no_corrections(published: Path, tmp_path: Path, spent: list[Spent]) -> None:
    rows = export(published, RUNNING, "cost", tmp_path)
    assert {row["ChargeClass"] for row in rows} == {None}
    assert billed(rows) == total(row.cost_usd for row in spent if row.month == str(RUNNING))


def test_what_has_no_quantity_is_measured_in_money_and_units_are_those_of_focus(
    published: Path, tmp_path: Path
) -> None:
    rows = export(published, CLOSED, "cost", tmp_path)
    assert {"Tokens", "Requests", "USD"} <= {row["ConsumedUnit"] for row in rows}
    for row in rows:
        assert row["ConsumedQuantity"] is not None
        if row["ConsumedUnit"] == "USD":
            assert row["ConsumedQuantity"] == row["BilledCost"]


# --- the billing side


def invoices(spent: list[Spent]) -> dict[str, int]:
    """Tenant to what its May invoice comes to, in cents: each line rounded half-up, once."""
    lines: dict[tuple[str, ...], Fraction] = defaultdict(Fraction)
    for row in spent:
        if row.month == str(CLOSED) and row.tenant_id != "unallocated":
            lines[row.tenant_id, row.provider, row.billed_account_id, row.line_item] += row.billed_usd
    found: dict[str, int] = defaultdict(int)
    for (tenant, *_), amount in lines.items():
        found[tenant] += floor(amount * 100 + Fraction(1, 2))
    return found


def test_the_rows_of_an_invoice_add_up_to_it(published: Path, tmp_path: Path) -> None:
    rows = export(published, CLOSED, "billing", tmp_path)
    sums: dict[tuple[str, str], Fraction] = defaultdict(Fraction)
    for row in rows:
        sums[row["InvoiceId"], row["BillingAccountId"]] += Fraction(row["BilledCost"])
    assert {tenant: amount * 100 for (_, tenant), amount in sums.items()} == invoices(spent_by(CLOSED_AT))
    assert len(sums) == len({number for number, _ in sums})
    assert {row["InvoiceIssuerName"] for row in rows} == {row["ProviderName"] for row in rows} == {"Seller Ltd"}
    assert {row["ChargeCategory"] for row in rows} == {"Usage"}


def test_what_is_not_invoiced_yet_is_exact_and_has_no_invoice(
    published: Path, tmp_path: Path, spent: list[Spent]
) -> None:
    rows = export(published, RUNNING, "billing", tmp_path)
    assert {row["InvoiceId"] for row in rows} == {None}
    assert "unallocated" not in {row["BillingAccountId"] for row in rows}
    assert billed(rows) == total(row.billed_usd for row in spent if row.month == str(RUNNING))


def test_neither_cost_nor_margin_is_on_the_billing_side(published: Path, tmp_path: Path) -> None:
    rows = export(published, CLOSED, "billing", tmp_path)
    named = [name for name in rows[0] if name.startswith("x_")]
    assert named == ["x_CorrectsInvoice", "x_InvoiceLine", "x_LineKind"]
    assert all(len({row[name] for name in COSTS}) == 1 for row in rows)


def test_lines_of_every_kind_and_tax_have_a_row_and_still_add_up(copy: Path, tmp_path: Path) -> None:
    kinds = {
        "fee": ("Purchase", None),
        "minimum": ("Purchase", None),
        "credit": ("Credit", None),
        "adjustment": ("Usage", "Correction"),
        "credit_note": ("Adjustment", "Correction"),
        "something new": ("Adjustment", None),
    }
    with duckdb.connect(copy) as connection:
        columns = [name for name, *_ in connection.execute("DESCRIBE billing.invoice_lines").fetchall()]
        connection.execute("DELETE FROM billing.invoice_lines")
        connection.execute("UPDATE billing.invoices SET currency = 'KWD', tax_minor = 19, corrects = NULL")
        connection.execute("DELETE FROM billing.invoices WHERE tenant_id <> 'contoso-retail'")
        for place, kind in enumerate(kinds, start=1):
            original = "INV-0" if kind in ("adjustment", "credit_note") else None
            line = {"line_no": place, "kind": kind, "amount_minor": 1001 * place, "billed_exact": Decimal("0.1")}
            line |= dict.fromkeys(("description", "account_id", "account_name", "line_item", "margin_rule_id"), "")
            line |= {"description": kind, "provider": "openai" if kind == "adjustment" else ""}
            if "service_month" in columns:
                line |= {"service_month": "2026-04", "original_invoice": original}
            chosen = ", ".join(f"${name} AS {name}" for name in line)
            connection.execute(
                f"INSERT INTO billing.invoice_lines BY NAME SELECT invoice_number, {chosen} FROM billing.invoices", line
            )
        if "service_month" not in columns:  # then the document alone knows what it corrects
            kinds = {kind: (category, None) for kind, (category, _) in kinds.items()}
    rows = export(copy, CLOSED, "billing", tmp_path)
    found = {row["x_LineKind"]: (row["ChargeCategory"], row["ChargeClass"]) for row in rows}
    assert found == {**kinds, "tax": ("Tax", None)}
    assert billed(rows) == Decimal("21.040")
    assert {row["BillingCurrency"] for row in rows} == {"KWD"}
    taxed = next(row for row in rows if row["x_LineKind"] == "tax")
    assert (taxed["PricingQuantity"], taxed["ConsumedQuantity"], taxed["BilledCost"]) == (None, None, Decimal("0.019"))


def test_a_correction_names_the_document_it_corrects(copy: Path, tmp_path: Path) -> None:
    with duckdb.connect(copy) as connection:
        connection.execute("UPDATE billing.invoices SET corrects = 'INV-0' WHERE tenant_id = 'contoso-retail'")
        columns = [name for name, *_ in connection.execute("DESCRIBE billing.invoice_lines").fetchall()]
        if "original_invoice" in columns:
            connection.execute(
                """
                UPDATE billing.invoice_lines SET original_invoice = 'INV-0' WHERE invoice_number IN
                (SELECT invoice_number FROM billing.invoices WHERE tenant_id = 'contoso-retail')
                """
            )
    rows = export(copy, CLOSED, "billing", tmp_path)
    for row in rows:
        corrects = "INV-0" if row["BillingAccountId"] == "contoso-retail" else None
        assert (row["x_CorrectsInvoice"], row["ChargeClass"]) == (corrects, corrects and "Correction")


def test_a_month_nothing_is_known_about_is_refused(published: Path, tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="Nothing is known about 2026-01"):
        export_focus(published, "2026-01", "cost", None, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_command_writes_both_sides_and_names_the_seller_of_the_policy(run: Run, copy: Path, tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("seller: {name: Reselling GmbH}\n")
    ended = run("export", "focus", "--month", str(CLOSED), home=copy.parents[1], TOKENBOARD_POLICY=str(policy))
    assert (ended.returncode, ended.stderr) == (0, "")
    files = [copy.parents[1] / "exports" / f"focus-{side}-{CLOSED}.parquet" for side in SIDES]
    assert all(str(file) in ended.stdout for file in files)
    assert {row["InvoiceIssuerName"] for row in read(files[1])} == {"Reselling GmbH"}
    assert {row["InvoiceIssuerName"] for row in read(files[0])} == {"OpenAI", "OpenRouter"}
    assert run("export", "focus", "--month", "2026-13").returncode == 2
