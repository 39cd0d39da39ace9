"""Accounts that become a tenant's by their name, and those that somebody binds."""

from __future__ import annotations

from datetime import UTC, date, datetime

import duckdb
import pytest

from tests.conftest import Night
from tokenboard_etl.closing import bring_up_to_date
from tokenboard_etl.errors import RegistryError
from tokenboard_etl.periods import Window
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.tenants.adoption import adopt
from tokenboard_etl.tenants.registry import Binding, Tenant, bind, save_tenant

NOW = datetime(2026, 6, 15, 2, 0, tzinfo=UTC)
DAYS = Window(date(2026, 5, 30), date(2026, 6, 3))
REPORTS = {"projects", "costs", "costs_total"}

Warehouse = duckdb.DuckDBPyConnection


def tenant(warehouse: Warehouse, tenant_id: str, name: str, status: str = "active") -> None:
    save_tenant(warehouse, Tenant(tenant_id, name, None, None, "USD", None, status), {}, NOW)


def project(sandbox: RunningSandbox, name: str) -> str:
    org = sandbox.world.organizations[0]
    return next(each.id for each in org.projects if each.name_on(NOW.date()) == name)


def bound(warehouse: Warehouse) -> set[tuple[str, str]]:
    return set(warehouse.execute("SELECT tenant_id, account_id FROM registry.accounts").fetchall())


def close(warehouse: Warehouse, month: str, tenant_id: str | None = None) -> None:
    warehouse.execute(
        "INSERT INTO billing.closed_months BY NAME SELECT $1 AS month, $2 AS tenant_id, $3 AS closed_at, "
        "(SELECT policy_sha256 FROM policy.uses LIMIT 1) AS policy_sha256",
        [month, tenant_id, NOW],
    )


def test_only_an_exact_and_unambiguous_name_or_id_is_learned(
    night: Night, warehouse: Warehouse, sandbox: RunningSandbox
) -> None:
    tenant(warehouse, "contoso", "Contoso Retail")  # by its name
    tenant(warehouse, "northwind", "northwind analytics")  # in another case: not exact
    tenant(warehouse, "helios", "Helios Energy", status="suspended")
    tenant(warehouse, "sakura", "株式会社さくら")
    bind(warehouse, Binding("sakura", "openai", "project", "proj_other", date(2024, 1, 1)), NOW)  # has one already
    tenant(warehouse, "formula-1", "=1+1 Formula Labs")
    tenant(warehouse, "formula-2", "=1+1 FORMULA LABS")  # a second bearer
    night(NOW, DAYS, "openai", REPORTS)
    contoso = project(sandbox, "Contoso Retail")
    assert bound(warehouse) == {("contoso", contoso), ("sakura", "proj_other")}
    ((since, made),) = warehouse.execute(
        """
        SELECT bound.valid_from, CAST(listed.created_at AS DATE) FROM registry.accounts AS bound
        JOIN ops.accounts AS listed USING (account_id) WHERE bound.tenant_id = 'contoso'
        """
    ).fetchall()
    assert since == made
    spent = "SELECT count(DISTINCT usage_date) FROM billing.charges WHERE tenant_id = 'contoso'"
    assert warehouse.execute(spent).fetchall() == [(4,)]  # rated in the same breath


def test_a_month_that_is_closed_is_left_alone(night: Night, warehouse: Warehouse) -> None:
    settings = night(NOW, DAYS, "openai", REPORTS)
    close(warehouse, "2026-05")
    tenant(warehouse, "contoso", "Contoso Retail")
    bring_up_to_date(warehouse, settings)
    assert warehouse.execute("SELECT valid_from FROM registry.accounts").fetchall() == [(date(2026, 6, 1),)]


def test_what_is_provisioned_is_not_learned(night: Night, warehouse: Warehouse) -> None:
    """A project of the name may be what a lost request made."""
    tenant(warehouse, "contoso", "Contoso Retail")
    warehouse.execute(
        "INSERT INTO registry.provisioning VALUES "
        "('contoso', 'openai', NULL, NULL, 'pending', NULL, NULL, NULL, $1, $1)",
        [NOW],
    )
    night(NOW, DAYS, "openai", REPORTS)
    assert bound(warehouse) == set()


def test_an_account_is_adopted_from_a_day_on_and_taken_over_on_another(
    night: Night, warehouse: Warehouse, sandbox: RunningSandbox
) -> None:
    settings = night(NOW, DAYS, "openai", REPORTS)
    staging = project(sandbox, "Northwind Analytics (staging)")
    for tenant_id in ("one", "two"):
        tenant(warehouse, tenant_id, tenant_id)
    adopt(warehouse, "one", "openai", staging, date(2026, 5, 31), NOW)
    with pytest.raises(RegistryError, match="belongs to one"):
        adopt(warehouse, "two", "openai", staging, date(2026, 6, 2), NOW)
    adopt(warehouse, "two", "openai", staging, date(2026, 6, 2), NOW, take_over=True)
    bring_up_to_date(warehouse, settings)
    days = warehouse.execute(
        "SELECT DISTINCT usage_date, tenant_id FROM billing.charges WHERE account_id = $1 ORDER BY usage_date",
        [staging],
    ).fetchall()
    owners = ["unallocated", "one", "one", "two"]
    assert days == [(day, owner) for day, owner in zip(DAYS.days(), owners, strict=True)]


def test_an_adoption_from_the_wrong_day_or_by_the_wrong_tenant_is_put_right(
    night: Night, warehouse: Warehouse, sandbox: RunningSandbox
) -> None:
    night(NOW, DAYS, "openai", REPORTS)
    staging = project(sandbox, "Northwind Analytics (staging)")
    for tenant_id in ("one", "two"):
        tenant(warehouse, tenant_id, tenant_id)

    def owners() -> list[tuple[str, date, date | None]]:
        rows = warehouse.execute(
            "SELECT tenant_id, valid_from, valid_until FROM registry.accounts ORDER BY valid_from, tenant_id"
        )
        return rows.fetchall()

    june, july = date(2026, 6, 1), date(2026, 7, 1)
    adopt(warehouse, "one", "openai", staging, july, NOW)
    adopt(warehouse, "one", "openai", staging, june, NOW)  # it was to be from June on
    assert owners() == [("one", june, july), ("one", july, None)]
    with pytest.raises(RegistryError, match="belongs to one"):
        adopt(warehouse, "one", "openai", staging, date(2026, 6, 9), NOW)
    assert owners() == [("one", june, july), ("one", july, None)]
    with pytest.raises(RegistryError, match="belongs to one"):
        adopt(warehouse, "two", "openai", staging, july, NOW)
    adopt(warehouse, "two", "openai", staging, july, NOW, take_over=True)  # on the very day: it never was one's
    assert owners() == [("one", june, july), ("two", july, None)]
    close(warehouse, "2026-06")
    with pytest.raises(RegistryError, match="first day that is open is 2026-07-01"):
        adopt(warehouse, "one", "openai", staging, june, NOW, take_over=True)
    assert owners() == [("one", june, july), ("two", july, None)]


def test_nothing_is_adopted_that_nobody_knows_or_that_is_invoiced(
    night: Night, warehouse: Warehouse, sandbox: RunningSandbox
) -> None:
    tenant(warehouse, "one", "One")
    staging = project(sandbox, "Northwind Analytics (staging)")
    with pytest.raises(RegistryError, match="No accounts are known yet"):
        adopt(warehouse, "one", "openai", staging, None, NOW)
    night(NOW, DAYS, "openai", REPORTS)
    for account in ("", "proj_nobody"):
        with pytest.raises(RegistryError, match="lists no account"):
            adopt(warehouse, "one", "openai", account, None, NOW)
    close(warehouse, "2026-05", "one")
    with pytest.raises(RegistryError, match="first day that is open is 2026-06-01"):
        adopt(warehouse, "one", "openai", staging, date(2026, 5, 31), NOW)
    assert adopt(warehouse, "one", "openai", staging, None, NOW).valid_from == date(2026, 6, 1)
