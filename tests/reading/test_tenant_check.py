"""check.sql of a tenant's export, over documents of every kind: what is right agrees, what is off is found."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from billing.months import JULY, JUNE, MAY, NOW, close, months_on_disk, policy, rate, register, use
from tokenboard_etl.billing.credit_notes import issue_credit_note
from tokenboard_etl.reading.tenant_export import export_tenant
from tokenboard_etl.rendering.invoices import render_invoice
from tokenboard_etl.warehouse.models import build_table
from tokenboard_etl.warehouse.publish import publish

SINCE = {"from": "2026-01-01"}
POLICY = policy(
    fx=[{"id": "fx", "currency": "EUR", "per_usd": "0.9213", **SINCE}],
    taxes=[
        {"id": "vat", "name": "VAT", "percent": "19", **SINCE},
        {"id": "levy", "name": "Levy", "percent": "2.5", **SINCE},
    ],
    fees=[{"id": "fee", "description": "Platform fee", "amount": "9.99", **SINCE}],
    minimums=[{"id": "floor", "amount": "25", **SINCE}],
    credits=[
        {"id": tenant_id, "tenant": tenant_id, "kind": "promotional", "amount": "3.33", **SINCE}
        for tenant_id in ("american", "european")
    ],
)
CURRENCIES = {"american": "USD", "european": "EUR"}


def dollars(**amounts: str) -> dict[str, Decimal]:
    return {item: Decimal(usd) for item, usd in amounts.items()}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tenants with three months each, restated up and down, whose first invoice was credited in parts."""
    folder = tmp_path_factory.mktemp("documents")
    working, published = folder / "warehouse.duckdb", folder / "published" / "tokenboard.duckdb"
    with months_on_disk(working) as months:
        use(months, POLICY)
        for tenant_id, currency in CURRENCIES.items():
            register(months, tenant_id, currency)
            rate(months, tenant_id, MAY, dollars(a="10.004", b="20.005", c="100.555"))
            (may,) = close(months, MAY, tenant_id)
            rate(months, tenant_id, MAY, dollars(a="10.006", b="20.0049", c="90.111"))
            rate(months, tenant_id, JUNE, dollars(a="7.015"))
            close(months, JUNE, tenant_id)
            rate(months, tenant_id, JUNE, dollars(a="0.001"))
            rate(months, tenant_id, MAY, dollars(b="1"))
            close(months, JULY, tenant_id)
            issue_credit_note(months, may.number, NOW, render_invoice, reason="one of them", line_nos=[1])
            issue_credit_note(months, may.number, NOW, render_invoice, reason="all of it")
        build_table(months, "billing.invoices")
        publish(months, working, published)
    return published


@pytest.fixture
def run_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Exports a tenant of a published file and answers with what both statements of its check.sql say."""

    def run(published: Path, tenant_id: str) -> tuple[list[Any], list[Any]]:
        export_tenant(published, tenant_id, tmp_path)
        folder = tmp_path / f"tenant-{tenant_id}"
        monkeypatch.chdir(folder)
        with duckdb.connect() as connection:
            lines, documents = connection.extract_statements((folder / "check.sql").read_text())
            return connection.execute(lines).fetchall(), connection.execute(documents).fetchall()

    return run


@pytest.mark.parametrize("tenant_id", CURRENCIES)
def test_corrections_credits_taxes_and_reversals_agree(published: Path, run_check: Any, tenant_id: str) -> None:
    lines, documents = run_check(published, tenant_id)
    assert [agrees for *_, agrees in documents] == [True] * 5
    assert {currency for _, _, currency, *_ in documents} == {CURRENCIES[tenant_id]}
    invoiced = {(month, item): usd for month, _, _, item, usd, *_ in lines}
    assert invoiced == {  # as the months are rated now
        ("2026-05", "a"): 0,
        ("2026-05", "b"): 1,
        ("2026-05", "c"): 0,
        ("2026-06", "a"): Decimal("0.001"),
    }


@pytest.mark.parametrize(
    "wrong",
    [
        "UPDATE billing.invoices SET total_minor = total_minor + 1",
        "UPDATE billing.invoice_lines SET amount_minor = amount_minor + 1 WHERE kind = 'adjustment'",
        "UPDATE billing.invoice_lines SET billed_exact = billed_exact + 0.01 WHERE kind = 'usage'",
        "UPDATE billing.invoice_taxes SET percent = percent + 1",
    ],
)
def test_what_is_off_is_found(published: Path, tmp_path: Path, run_check: Any, wrong: str) -> None:
    copy = tmp_path / "copy.duckdb"
    copy.write_bytes(published.read_bytes())
    with duckdb.connect(copy) as connection:
        connection.execute(wrong)
    _, documents = run_check(copy, "american")
    assert False in [agrees for *_, agrees in documents]
