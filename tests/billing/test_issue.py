"""Closing a month: rounding, numbers, immutability, refusal. Drafts are planted, the rest is the real thing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from examples import examples
from tokenboard_etl.billing.invoice import Invoice, Rendered
from tokenboard_etl.billing.issue import close_month
from tokenboard_etl.billing.issued import invoices_of
from tokenboard_etl.billing.margins import record_default_margins
from tokenboard_etl.errors import CheckFailed, ConfigurationError, WrongUse
from tokenboard_etl.periods import Month
from tokenboard_etl.rendering.invoices import render_invoice
from tokenboard_etl.tenants.registry import Tenant, save_tenant
from tokenboard_etl.warehouse.checks import all_checks, run_checks
from tokenboard_etl.warehouse.connection import open_warehouse
from tokenboard_etl.warehouse.models import build_models

NOW = datetime(2026, 6, 15, 2, 0, tzinfo=UTC)
MAY = Month(2026, 5)


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_warehouse(tmp_path / "warehouse.duckdb") as connection:
        build_models(connection, NOW, settle_days=4)
        yield connection


def plant(connection: duckdb.DuckDBPyConnection, amounts: dict[str, list[Decimal]], currency: str = "USD") -> None:
    """Drafts of May, one per amount, for tenants of that name; every day settled."""
    for tenant_id, billed in amounts.items():
        tenant = Tenant(tenant_id, tenant_id.title(), None, "DE", currency, None)
        save_tenant(connection, tenant, {}, NOW)
        for position, exact in enumerate(billed):
            connection.execute(
                """
                INSERT INTO billing.invoice_drafts BY NAME
                SELECT '2026-05' AS month, $1 AS tenant_id, 'openai' AS provider, 'proj' AS account_id,
                    $2 AS line_item, 'default-openai' AS margin_rule_id, $3::DECIMAL(38, 24) AS billed_exact
                """,
                [tenant_id, f"item {position:03d}", exact],
            )
    connection.execute(
        """
        INSERT INTO ops.source_days BY NAME
        SELECT unnest(generate_series(DATE '2026-05-01', DATE '2026-05-31', INTERVAL 1 DAY))::DATE AS usage_date,
            'openai' AS provider, 'openai' AS connection_id, 'costs' AS report, true AS gates_closing,
            'settled' AS state
        """
    )


billed_amounts = st.decimals(min_value=-1000, max_value=100_000, places=24, allow_nan=False)


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from(["acme", "beta", "gamma"]), st.lists(billed_amounts, min_size=1, max_size=12), min_size=1
    )
)
def test_printed_lines_add_up_and_each_is_rounded_once(
    tmp_path_factory: pytest.TempPathFactory, amounts: dict[str, list[Decimal]]
) -> None:
    with open_warehouse(tmp_path_factory.mktemp("w") / "warehouse.duckdb") as warehouse:
        build_models(warehouse, NOW, settle_days=4)
        plant(warehouse, amounts)
        issued = close_month(warehouse, MAY, NOW, render_invoice)
        assert [invoice.buyer.tenant_id for invoice in issued] == sorted(amounts)
        for invoice in issued:
            cents = [
                int(exact.scaleb(2).quantize(Decimal(1), ROUND_HALF_UP)) for exact in amounts[invoice.buyer.tenant_id]
            ]
            assert [line.amount_minor for line in invoice.lines] == cents
            assert (invoice.net_minor, invoice.tax_minor, invoice.total_minor) == (sum(cents), 0, sum(cents))
        stored = warehouse.execute("SELECT tenant_id, total_minor FROM billing.invoices ORDER BY ALL").fetchall()
        assert stored == sorted((invoice.buyer.tenant_id, invoice.total_minor) for invoice in issued)
        assert invoices_of(warehouse, MAY) == issued


def test_numbers_have_no_gap_and_follow_the_tenants_by_id(warehouse: duckdb.DuckDBPyConnection) -> None:
    plant(warehouse, {"b": [Decimal(1)], "a": [Decimal(2)]})
    close_month(warehouse, MAY, NOW, render_invoice, tenant_id="b")
    close_month(warehouse, MAY, NOW, render_invoice)
    numbers = warehouse.execute("SELECT invoice_number, tenant_id FROM billing.invoices ORDER BY 1").fetchall()
    assert numbers == [("INV-2026-00001", "b"), ("INV-2026-00002", "a")]


def test_the_newest_document_cannot_be_removed_unseen(warehouse: duckdb.DuckDBPyConnection) -> None:
    """Its number leaves no gap, but what rested on it is left."""
    (check,) = [each for each in all_checks() if each.name == "documents_are_whole"]
    plant(warehouse, {"a": [Decimal(1)]})
    close_month(warehouse, MAY, NOW, render_invoice)

    def found() -> int:
        (finding,) = run_checks(warehouse, [check])
        return finding.violations

    assert found() == 0
    warehouse.execute("DELETE FROM billing.documents")
    assert found() == 2
    warehouse.execute("DELETE FROM billing.invoice_lines")
    assert found() == 1


@pytest.mark.parametrize("change", ["DELETE FROM", "UPDATE", "UPDATE tenant"])
def test_a_closing_cannot_be_removed_or_altered_unseen(warehouse: duckdb.DuckDBPyConnection, change: str) -> None:
    """The month would be rated again under another policy, or opened."""
    (check,) = [each for each in all_checks() if each.name == "documents_are_whole"]
    plant(warehouse, {"a": [Decimal(1)], "b": [Decimal(1)]})
    close_month(warehouse, MAY, NOW, render_invoice, tenant_id="b")
    close_month(warehouse, MAY, NOW, render_invoice)
    assert run_checks(warehouse, [check])[0].passed
    statements = {
        "DELETE FROM": "DELETE FROM billing.closed_months",
        "UPDATE": "UPDATE billing.closed_months SET policy_sha256 = 'another'",
        "UPDATE tenant": "UPDATE billing.closed_months SET tenant_id = 'b'",
    }
    warehouse.execute(f"{statements[change]} WHERE tenant_id IS NULL")
    assert run_checks(warehouse, [check])[0].examples[0] == "part=billing.closed_months, of_what=2026-05 of a"
    warehouse.execute("DELETE FROM billing.issues WHERE issue_no = 1")
    assert "part=billing.issues, of_what=INV-2026-00001" in run_checks(warehouse, [check])[0].examples


def test_a_failure_while_rendering_issues_nothing_and_uses_no_number(warehouse: duckdb.DuckDBPyConnection) -> None:
    plant(warehouse, {"a": [Decimal(1)], "b": [Decimal(2)]})

    def breaks_on_b(invoice: Invoice) -> Rendered:
        if invoice.buyer.tenant_id == "b":
            raise RuntimeError("no ink")
        return render_invoice(invoice)

    with pytest.raises(RuntimeError, match="no ink"):
        close_month(warehouse, MAY, NOW, breaks_on_b)
    assert warehouse.execute("SELECT count(*) FROM billing.invoice_lines").fetchall() == [(0,)]
    (first, _) = close_month(warehouse, MAY, NOW, render_invoice)
    assert first.number == "INV-2026-00001"


def test_closing_again_changes_nothing_whatever_the_drafts_say_now(warehouse: duckdb.DuckDBPyConnection) -> None:
    plant(warehouse, {"a": [Decimal(1)]})
    close_month(warehouse, MAY, NOW, render_invoice)
    before = warehouse.execute("SELECT * FROM billing.invoices").fetchall()
    warehouse.execute("UPDATE billing.invoice_drafts SET billed_exact = 99")
    warehouse.execute("UPDATE registry.tenants SET name = 'Renamed'")
    assert close_month(warehouse, MAY, NOW, render_invoice) == []
    assert warehouse.execute("SELECT * FROM billing.invoices").fetchall() == before


def test_the_stored_checksum_is_the_documents(warehouse: duckdb.DuckDBPyConnection) -> None:
    plant(warehouse, {"a": [Decimal("1.005")]})
    close_month(warehouse, MAY, NOW, render_invoice)
    (invoice,) = invoices_of(warehouse, MAY)
    stored = warehouse.execute("SELECT sha256 FROM billing.invoices").fetchall()
    assert stored == [(render_invoice(invoice).sha256,)]


@pytest.mark.parametrize("state", ["missing", "provisional"])
def test_a_day_that_is_not_final_blocks_closing_unless_a_reason_is_given(
    warehouse: duckdb.DuckDBPyConnection, state: str
) -> None:
    plant(warehouse, {"a": [Decimal(1)]})
    warehouse.execute("UPDATE ops.source_days SET state = $1 WHERE usage_date = $2", [state, date(2026, 5, 31)])
    with pytest.raises(CheckFailed, match=f"openai costs 2026-05-31 is {state}"):
        close_month(warehouse, MAY, NOW, render_invoice)
    close_month(warehouse, MAY, NOW, render_invoice, accepted_reason="agreed with A.")
    assert warehouse.execute("SELECT accepted_reason FROM billing.invoices").fetchall() == [("agreed with A.",)]


def test_a_day_nobody_ever_asked_for_blocks_closing_too(warehouse: duckdb.DuckDBPyConnection) -> None:
    plant(warehouse, {"a": [Decimal(1)]})
    warehouse.execute("DELETE FROM ops.source_days WHERE usage_date = $1", [date(2026, 5, 7)])
    with pytest.raises(CheckFailed, match="2026-05-07 is missing"):
        close_month(warehouse, MAY, NOW, render_invoice)


def test_a_month_nothing_was_read_for_is_not_closed_as_empty(warehouse: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(CheckFailed, match="no provider has been read"):
        close_month(warehouse, MAY, NOW, render_invoice)


def test_a_clock_that_was_set_back_leaves_no_gap_and_is_told(
    warehouse: duckdb.DuckDBPyConnection, caplog: pytest.LogCaptureFixture
) -> None:
    """Over the end of a year and back: each document is numbered in the year of its own day."""
    plant(warehouse, {"a": [Decimal(1)], "b": [Decimal(1)], "c": [Decimal(1)]})
    ahead = datetime(2027, 1, 1, 0, 30, tzinfo=UTC)
    for tenant_id, now in (("a", NOW), ("b", ahead)):
        close_month(warehouse, MAY, now, render_invoice, tenant_id=tenant_id)
    assert caplog.messages == []
    (late,) = close_month(warehouse, MAY, NOW, render_invoice)
    assert late.number == "INV-2026-00002"
    assert caplog.messages == [
        "INV-2027-00001 was issued at 2027-01-01 00:30 UTC, and by this machine's clock it is 2026-06-15 02:00 UTC; "
        "is the clock right?"
    ]


def test_a_month_that_is_not_over_is_wrong_use(warehouse: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(WrongUse, match="from 2026-07-01 on"):
        close_month(warehouse, Month(2026, 6), NOW, render_invoice)


def test_a_currency_without_a_rate_is_refused_and_nothing_is_issued(warehouse: duckdb.DuckDBPyConnection) -> None:
    plant(warehouse, {"a": [Decimal(1)]}, currency="EUR")
    with pytest.raises(ConfigurationError, match="EUR"):
        close_month(warehouse, MAY, NOW, render_invoice)
    assert warehouse.execute("SELECT count(*) FROM billing.closed_months").fetchall() == [(0,)]


def test_a_changed_default_margin_holds_from_the_day_it_is_first_seen(warehouse: duckdb.DuckDBPyConnection) -> None:
    def rules() -> list[tuple[object, ...]]:
        return warehouse.execute(
            "SELECT rule_id, multiplier, valid_from, valid_until FROM policy.default_margins ORDER BY valid_from"
        ).fetchall()

    first, second = Decimal("1.250000"), Decimal("1.400000")
    record_default_margins(warehouse, {"openai": first}, NOW)
    record_default_margins(warehouse, {"openai": first}, NOW)
    assert rules() == [("default-openai", first, date(1970, 1, 1), None)]
    record_default_margins(warehouse, {"openai": second}, NOW)
    assert rules() == [
        ("default-openai", first, date(1970, 1, 1), date(2026, 6, 15)),
        ("default-openai-2026-06-15", second, date(2026, 6, 15), None),
    ]
    record_default_margins(warehouse, {"openai": first}, NOW)
    assert rules()[-1] == ("default-openai-2026-06-15", first, date(2026, 6, 15), None)


def test_a_configured_connection_that_was_never_read_blocks_closing(warehouse: duckdb.DuckDBPyConnection) -> None:
    plant(warehouse, {"a": [Decimal(1)]})
    with pytest.raises(CheckFailed, match="openrouter analytics 2026-05-01 is missing"):
        close_month(warehouse, MAY, NOW, render_invoice, gating=[("openai", "costs"), ("openrouter", "analytics")])
    assert len(close_month(warehouse, MAY, NOW, render_invoice, gating=[("openai", "costs")])) == 1


def test_closing_for_an_unknown_tenant_is_wrong_use(warehouse: duckdb.DuckDBPyConnection) -> None:
    plant(warehouse, {"a": [Decimal(1)]})
    with pytest.raises(WrongUse, match="no tenant 'nosuch'"):
        close_month(warehouse, MAY, NOW, render_invoice, tenant_id="nosuch")


def test_closing_for_a_tenant_without_charges_leaves_the_month_open_for_it(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    plant(warehouse, {"a": [Decimal(1)]})
    save_tenant(warehouse, Tenant("late", "Late", None, None, "USD", None), {}, NOW)
    assert close_month(warehouse, MAY, NOW, render_invoice, tenant_id="late") == []
    assert warehouse.execute("SELECT count(*) FROM billing.closed_months").fetchall() == [(0,)]
