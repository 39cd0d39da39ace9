"""Estimates that finance has invoiced by name: said on the invoice, proved, and taken back when the figures arrive."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tokenboard_etl.billing.invoice import Invoice
from tokenboard_etl.closing import close
from tokenboard_etl.periods import Month, Window
from tokenboard_etl.proof.prove import prove
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.settings import Settings
from tokenboard_etl.tenants.csv_import import import_tenants
from tokenboard_etl.warehouse.connection import open_warehouse

NOW = datetime(2026, 6, 10, 2, tzinfo=UTC)
MAY = Month(2026, 5)
READ, LATE = date(2026, 5, 29), date(2026, 5, 30)
BOTH = Window.of_days(READ, LATE)


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def warehouse(opened: ExitStack, tmp_path: Path) -> duckdb.DuckDBPyConnection:
    """The home's own file, until `opened` is closed."""
    return opened.enter_context(open_warehouse(tmp_path / "home" / "warehouse.duckdb"))


@pytest.fixture
def named(sandbox: RunningSandbox, warehouse: duckdb.DuckDBPyConnection, tmp_path: Path) -> tuple[str, Path]:
    """A tenant with a project, and a policy that has its estimates of both days invoiced; the others are as ever."""
    path = tmp_path / "tenants.csv"
    path.write_text(sandbox.world.tenants_csv())
    import_tenants(warehouse, path, NOW)
    ((tenant_id,),) = warehouse.execute(
        "SELECT min(tenant_id) FROM registry.accounts WHERE provider = 'openai' AND kind = 'project'"
    ).fetchall()
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        f"invoiced_estimates: [{{id: late, tenant: {tenant_id}, from: {READ}, until: {LATE + timedelta(days=1)}}}]"
    )
    return tenant_id, policy


def closed(warehouse: duckdb.DuckDBPyConnection, tonight: Settings, tenant_id: str) -> Invoice:
    documents = close(warehouse, tonight, MAY, accepted_reason="the costs are late", accepted_by="Ann").issued
    others = [line.line_item for each in documents if each.buyer.tenant_id != tenant_id for line in each.lines]
    assert others
    assert not [item for item in others if "(" in item]
    return next(each for each in documents if each.buyer.tenant_id == tenant_id)


def test_what_is_named_is_invoiced_as_an_estimate_and_corrected_when_the_cost_arrives(
    named: tuple[str, Path], night: Callable[..., Settings], warehouse: duckdb.DuckDBPyConnection, opened: ExitStack
) -> None:
    tenant_id, policy = named
    more = {"TOKENBOARD_POLICY": str(policy)}
    night(NOW, BOTH, "openai", {"completions"}, **more)
    tonight = night(NOW, Window.of_days(READ, READ), "openai", {"costs", "costs_total"}, **more)
    invoice = closed(warehouse, tonight, tenant_id)
    charged = dict(
        warehouse.execute(
            """
            SELECT source || ' ' || usage_date, sum(billed_usd) FROM billing.charges WHERE tenant_id = $1 GROUP BY ALL
            """,
            [tenant_id],
        ).fetchall()
    )
    assert sorted(charged) == [f"estimated {LATE}", f"provider {READ}"]
    estimates = [line for line in invoice.lines if line.line_item.endswith(" (estimated)")]
    assert sum(line.billed_exact for line in estimates) == charged[f"estimated {LATE}"] > 0
    items = "SELECT invoice_item, sum(billed_usd) FROM billing.charges WHERE tenant_id = $1 GROUP BY ALL"
    billed: dict[str, Decimal] = defaultdict(Decimal)
    for line in invoice.lines:
        billed[line.line_item] += line.billed_exact
    assert dict(warehouse.execute(items, [tenant_id]).fetchall()) == billed
    figures = "SELECT coalesce(sum(due_usd), 0), min(month) FROM billing.corrections_due WHERE tenant_id = $1"
    assert warehouse.execute(figures, [tenant_id]).fetchall() == [(0, None)]

    later = night(NOW + timedelta(hours=1), Window.of_days(LATE, LATE), "openai", {"costs", "costs_total"}, **more)
    ((arrived,),) = warehouse.execute(
        "SELECT sum(billed_usd) FROM billing.charges WHERE tenant_id = $1 AND usage_date = $2", [tenant_id, LATE]
    ).fetchall()
    due = warehouse.execute(figures, [tenant_id]).fetchall()
    assert due == [(arrived - charged[f"estimated {LATE}"], "2026-05")]
    opened.close()
    proof = prove(later, invoice.number)
    assert proof.failures == ()
    page = proof.path.read_text()
    assert estimates[0].line_item in page
    assert "accepted by <bdi>Ann</bdi>: <bdi>the costs are late</bdi>" in page


def test_what_is_named_and_has_no_price_is_invoiced_at_the_fallback_price_and_proved(
    named: tuple[str, Path], night: Callable[..., Settings], warehouse: duckdb.DuckDBPyConnection, opened: ExitStack
) -> None:
    tenant_id, policy = named
    more = {"TOKENBOARD_POLICY": str(policy)}
    tonight = night(NOW, BOTH, "openai", {"completions"}, **more)
    warehouse.execute("UPDATE policy.prices SET model = 'none ' || model")
    night(NOW, Window.of_days(READ, READ), "openai", {"costs", "costs_total"}, **more)
    operation: dict[str, Any] = {"tenant": tenant_id, "day": LATE, "now": NOW}
    for number in range(3):
        warehouse.execute(
            """
            INSERT INTO ops.operations BY NAME
            SELECT 'op-' || $number AS operation_id, type, $now AS occurred_at, $day AS usage_date,
                $tenant AS tenant_id, '' AS job_id, 2.5 AS quantity, unit, true AS success, $now AS loaded_at
            FROM (VALUES ('cv-parsing', 'cv'), ('video-interview', 'minute'), ('question-generation', 'question'))
                AS known(type, unit)
            """,
            {**operation, "number": number},
        )
    warehouse.execute("INSERT INTO ops.dirty_months VALUES ('2026-05')")
    invoice = closed(warehouse, tonight, tenant_id)
    fallbacks = {line.line_item: line for line in invoice.lines if line.line_item.endswith(" (fallback)")}
    prices = {"cv-parsing": "0.5", "video-interview": "0.3", "question-generation": "0.01"}
    assert fallbacks
    for item, line in fallbacks.items():
        usd = Decimal(prices[item.removesuffix(" (fallback)")])
        assert line.billed_exact == Decimal("7.5") * usd * Decimal("1.25")
    assert not [line for line in invoice.lines if line.line_item.endswith(" (estimated)")]
    assert {row.part for row in invoice.appendix} >= {"no_job", "rest"}
    assert sum(row.amount_minor for row in invoice.appendix if row.part == "rest") > 0

    warehouse.execute(  # comes in June, when May is closed
        """
        INSERT INTO ops.operations BY NAME
        SELECT * REPLACE ('late' AS operation_id, 1 AS after_issue) FROM ops.operations
        WHERE operation_id = 'op-1' AND type = $1
        """,
        [item.removesuffix(" (fallback)")],
    )
    warehouse.execute("INSERT INTO ops.dirty_months VALUES ('2026-05')")
    july = night(datetime(2026, 7, 10, 2, tzinfo=UTC), None, "openai", set(), **more)
    (june,) = close(
        warehouse, july, Month(2026, 6), tenant_id=tenant_id, accepted_reason="so", accepted_by="Ann"
    ).issued
    assert [(line.kind, line.line_item, line.billed_exact) for line in june.lines] == [
        ("adjustment", item, Decimal("2.5") * usd * Decimal("1.25"))
    ]
    assert june.appendix == ()
    opened.close()
    assert [prove(july, each.number).failures for each in (invoice, june)] == [(), ()]
    with open_warehouse(tonight.warehouse_path) as altered:
        altered.execute("UPDATE ops.operations SET quantity = quantity + 1 WHERE operation_id = 'op-1'")
    assert any("ops.operations" in each for each in prove(tonight, invoice.number).failures)
