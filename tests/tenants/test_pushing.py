"""Budgets that are pushed become limits at both providers, on record, and are in force at the next reading."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from tests.conftest import Night
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.settings import Settings
from tokenboard_etl.tenants.provisioning.orders import Order, orders, place_order
from tokenboard_etl.tenants.provisioning.pushing import limits_to_push, push
from tokenboard_etl.tenants.registry import Binding, Tenant, bind, save_tenant

NOW = datetime(2026, 6, 15, 2, 0, tzinfo=UTC)
POLICY = """
margins:
  - {id: all, multiplier: 1.5, from: 2024-01-01}
budgets:
  - {id: acme, tenant: acme, usd: 100, push: true, from: 2024-01-01}
  - {id: quiet, tenant: quiet, usd: 100, from: 2024-01-01}
"""


@pytest.fixture
def pushed(
    night: Night, warehouse: duckdb.DuckDBPyConnection, sandbox: RunningSandbox, tmp_path: Path
) -> tuple[Settings, str, str]:
    """acme with a project and a key, as a night has read them; what was made of them is forgotten afterwards."""
    sandbox.reset()
    org, account = sandbox.world.organizations[0], sandbox.world.account
    project_id = next(each.id for each in org.projects if each.name_on(NOW.date()) == "Contoso Retail")
    key_hash = next(each.hash for each in account.keys if each.tenant_id == "contoso-retail")
    for tenant_id in ("acme", "quiet"):
        save_tenant(warehouse, Tenant(tenant_id, tenant_id, None, None, "USD", None), {}, NOW)
    bind(warehouse, Binding("acme", "openai", "project", project_id, date(2024, 1, 1)), NOW)
    bind(warehouse, Binding("acme", "openrouter", "key", key_hash, date(2024, 1, 1)), NOW)
    (tmp_path / "policy.yaml").write_text(POLICY)
    return read(night, tmp_path), project_id, key_hash


def read(night: Night, tmp_path: Path) -> Settings:
    night(NOW, None, "openai", {"projects", "spend_limits"}, TOKENBOARD_POLICY=str(tmp_path / "policy.yaml"))
    return night(NOW, None, "openrouter", {"keys"}, TOKENBOARD_POLICY=str(tmp_path / "policy.yaml"))


def test_limits_are_set_in_cost_and_found_in_force(
    pushed: tuple[Settings, str, str],
    night: Night,
    warehouse: duckdb.DuckDBPyConnection,
    sandbox: RunningSandbox,
    tmp_path: Path,
) -> None:
    settings, project_id, key_hash = pushed
    place_order(warehouse, Order("acme", "openai", limit_usd=Decimal(500), state="ready"), NOW)
    wanted = limits_to_push(warehouse)
    assert [(each.provider, each.account_id, each.wanted_usd) for each in wanted] == [
        ("openai", project_id, Decimal("66.66")),  # 100 / 1.5, cut to whole cents
        ("openrouter", key_hash, Decimal("66.66")),
    ]
    assert limits_to_push(warehouse, "quiet") == []
    assert push(warehouse, settings, wanted) == []
    org = sandbox.sandbox.organizations[sandbox.world.organizations[0].id]
    key = sandbox.sandbox.account.keys[key_hash]
    assert org.projects[project_id].budget.limit_cents == 6666
    assert (key.limit, key.limit_reset) == (Decimal("66.66"), "monthly")
    rows = warehouse.execute("SELECT action, result, subject, object_id, request_id FROM registry.audit").fetchall()
    assert [row[:4] for row in rows] == [
        ("push budget", "done", "66.66 USD a month", project_id),
        ("push budget", "done", "66.66 USD a month", key_hash),
    ]
    assert all(row[4] for row in rows)
    assert [order.limit_usd for order in orders(warehouse, "acme")] == [Decimal("66.66")]
    read(night, tmp_path)
    assert limits_to_push(warehouse) == []
    assert warehouse.execute("SELECT DISTINCT state FROM billing.budget_limits").fetchall() == [("in force",)]
    sandbox.reset()


def test_a_provider_that_refuses_keeps_the_other_from_nothing(
    pushed: tuple[Settings, str, str], warehouse: duckdb.DuckDBPyConnection, sandbox: RunningSandbox
) -> None:
    settings, _, key_hash = pushed
    sandbox.add_fault("status", "/spend_limit", status=403)
    (failure,) = push(warehouse, settings, limits_to_push(warehouse))
    assert failure.startswith("acme at openai: ")
    assert sandbox.sandbox.account.keys[key_hash].limit == Decimal("66.66")
    results = warehouse.execute("SELECT provider, result FROM registry.audit ORDER BY provider").fetchall()
    assert results == [("openai", "failed"), ("openrouter", "done")]
    sandbox.reset()
