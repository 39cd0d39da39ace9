"""Tenants that are suspended, resumed and offboarded: what becomes of their keys and projects, and of their figures."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from tenants.desk import ATLAS, NOW, Desk
from tokenboard_etl.errors import RegistryError
from tokenboard_etl.providers.sandbox.openai_state import Key
from tokenboard_etl.tenants.csv_import import import_tenants
from tokenboard_etl.tenants.key_ring import KeyRing
from tokenboard_etl.tenants.provisioning.orders import Order, request_rotation
from tokenboard_etl.tenants.provisioning.standing import request_status
from tokenboard_etl.tenants.registry import Binding, bind
from tokenboard_etl.tenants.revealing import reveal
from tokenboard_etl.tenants.vault import read_vault
from tokenboard_etl.warehouse.connection import open_warehouse

TENANT = "northwind-analytics"
HEAD = "tenant_id,name,industry,country,currency,billing_email,openai_project_id,openrouter_key_hash,valid_from"


def become(desk: Desk, status: str, tenant_id: str = "atlas-co") -> dict[str, Order]:
    with open_warehouse(desk.settings.warehouse_path) as warehouse:
        request_status(warehouse, tenant_id, status, NOW)
        return {order.provider: order for order in desk.go_on(warehouse) if order.tenant_id == tenant_id}


def states(orders: dict[str, Order]) -> dict[str, str]:
    return {provider: order.state for provider, order in orders.items()}


READY = {"openai": "ready", "openrouter": "ready"}


def actions(desk: Desk, since: int = 0) -> list[tuple[str, str]]:
    rows = desk.ask("SELECT action, result, action_no FROM registry.audit ORDER BY action_no")
    return [(action, result) for action, result, number in rows if number > since]


def stored(desk: Desk) -> set[str]:
    with read_vault(desk.settings.vault_path, KeyRing(desk.settings.encryption_keys)) as vault:
        return {each.secret_id for each in vault.secrets()}


def test_a_suspended_tenant_can_use_no_key_and_a_resumed_one_is_whole_again(desk: Desk) -> None:
    desk.provision(ATLAS)
    earlier = reveal(desk.settings, "atlas-co", "openai").get_secret_value()
    before = len(actions(desk))
    assert states(become(desk, "suspended")) == READY
    (project,), (key,) = desk.projects(), desk.router_keys()
    assert (project.keys, project.accounts, project.archived_at) == ({}, {}, None)
    assert key.is_disabled(NOW)
    assert actions(desk, before) == [("delete service account", "done"), ("suspend key", "done")]
    assert {each.rpartition("/")[2] for each in stored(desk)} == {key.hash}
    assert desk.ask("SELECT status FROM registry.tenants") == [("suspended",)]

    asked = desk.sandbox.request_count("PATCH")
    assert states(become(desk, "suspended")) == READY
    assert desk.sandbox.request_count("PATCH") == asked
    assert states(become(desk, "active")) == READY
    desk.is_whole()
    assert reveal(desk.settings, "atlas-co", "openai").get_secret_value() != earlier
    assert project.budget.limit_cents == 20_000
    assert [each.hash for each in desk.router_keys()] == [key.hash]


def test_resuming_opens_only_what_suspending_closed(desk: Desk) -> None:
    """A key that was rotated away stays closed, and so does one that somebody had disabled before."""
    desk.provision(ATLAS)
    with open_warehouse(desk.settings.warehouse_path) as warehouse:
        request_rotation(warehouse, "atlas-co", NOW)
        desk.go_on(warehouse)
    become(desk, "suspended")
    become(desk, "active")
    desk.is_whole()
    (live,) = [key for key in desk.router_keys() if not key.is_disabled(NOW)]
    live.disabled = True
    become(desk, "suspended")
    become(desk, "active")
    assert live.disabled


@pytest.mark.parametrize("status", ["suspended", "offboarded"])
@pytest.mark.parametrize("match", ["DELETE", "PATCH", "/archive"])
def test_what_a_provider_refuses_stays_pending_and_is_done_later(desk: Desk, status: str, match: str) -> None:
    desk.provision(ATLAS)
    desk.sandbox.add_fault("status", match, status=500)
    refused = {"suspended": {"DELETE": "openai", "PATCH": "openrouter"}, "offboarded": {}}[status]
    refused = refused or {"/archive": "openai", "PATCH": "openrouter"}
    found = states(become(desk, status))
    assert [provider for provider, state in found.items() if state == "pending"] == (
        [refused[match]] if match in refused else []
    )
    desk.sandbox.clear_faults()
    assert states(become(desk, status)) == READY
    assert all(key.is_disabled(NOW) for key in desk.router_keys())
    assert [project.keys for project in desk.projects()] == [{}]


def test_a_key_whose_answer_was_lost_does_not_outlive_a_suspension(desk: Desk) -> None:
    desk.sandbox.add_fault("crash_after_create", "POST /openrouter/api/v1/keys")
    desk.provision(ATLAS)
    assert len(desk.router_keys()) == 1
    desk.sandbox.clear_faults()
    assert states(become(desk, "suspended")) == READY
    assert (desk.projects()[0].keys, desk.router_keys()) == ({}, [])
    assert states(become(desk, "active")) == READY
    desk.is_whole()


def test_nothing_is_asked_for_a_tenant_for_whom_nothing_was_made(desk: Desk) -> None:
    desk.env |= {"OPENAI_ADMIN_KEY": None, "OPENROUTER_MANAGEMENT_KEY": None}
    desk.provision(ATLAS)
    assert states(become(desk, "suspended")) == READY
    assert states(become(desk, "offboarded")) == READY


def test_a_key_that_was_not_made_here_keeps_a_suspension_pending(desk: Desk) -> None:
    desk.provision(ATLAS)
    (project,) = desk.projects()
    project.keys["key_theirs"] = Key("key_theirs", "by hand", "sk-proj-...abcd", int(NOW.timestamp()), None, None)
    found = become(desk, "suspended")
    assert states(found) == READY | {"openai": "pending"}
    assert "key_theirs" in str(found["openai"].reason)
    assert list(project.keys) == ["key_theirs"]
    del project.keys["key_theirs"]
    assert states(become(desk, "suspended")) == READY


def test_an_offboarded_tenant_is_read_once_more_then_closed_and_stays_on_record(desk: Desk) -> None:
    desk.provision(ATLAS)
    before, bound = len(actions(desk)), desk.ask("FROM registry.accounts")
    assert states(become(desk, "offboarded")) == READY
    (project,), (key,) = desk.projects(), desk.router_keys()
    assert project.archived_at is not None
    assert (project.keys, project.accounts) == ({}, {})
    assert key.is_disabled(NOW)  # and not deleted: analytics forgets a deleted key
    assert actions(desk, before) == [
        ("take last reading", "done"),
        ("archive project", "done"),
        ("take last reading", "done"),
        ("disable key", "done"),
    ]
    assert stored(desk) == set()
    assert desk.ask("FROM registry.accounts") == bound
    assert desk.ask("SELECT count(*) FROM registry.keys WHERE retired_at IS NULL") == [(0,)]
    loaded = desk.ask("SELECT DISTINCT report FROM ops.loads WHERE result = 'loaded' ORDER BY 1")
    assert [report for (report,) in loaded] == [
        "analytics",
        "analytics_total",
        "costs",
        "costs_total",
        "keys",
        "projects",
    ]
    assert desk.ask("SELECT max(usage_date) FROM ops.load_days") == [(date(2026, 6, 14),)]
    for status in ("active", "suspended"):
        with pytest.raises(RegistryError, match="is offboarded"):
            become(desk, status)


def test_nothing_is_closed_before_the_last_reading_is_loaded(desk: Desk) -> None:
    desk.provision(ATLAS)
    desk.sandbox.add_fault("status", "/organization/costs", status=400)
    found = become(desk, "offboarded")
    assert states(found) == READY | {"openai": "pending"}
    assert "so nothing was closed" in str(found["openai"].reason)
    (project,) = desk.projects()
    assert project.archived_at is None
    assert len(project.keys) == 1
    desk.sandbox.clear_faults()
    assert states(become(desk, "offboarded")) == READY
    assert project.archived_at is not None


def test_an_imported_tenant_is_suspended_and_offboarded_by_its_bindings(desk: Desk, tmp_path: Path) -> None:
    """Its accounts were not made here: its key is opened again, its project's keys are for its people to delete."""
    world = desk.sandbox.world
    tenant = next(each for each in world.tenants if each.tenant_id == TENANT)
    project_id, key_hash = tenant.openai_projects[world.organizations[0].id][0], tenant.openrouter_keys[0]
    file = tmp_path / "tenants.csv"
    rows = (
        f"{TENANT},Northwind Analytics,,,,,{project_id},,2024-01-01",
        f"{TENANT},Northwind Analytics,,,,,,{key_hash},2024-01-01",
    )
    file.write_text("\n".join((HEAD, *rows)) + "\n")
    with open_warehouse(desk.settings.warehouse_path) as warehouse:
        import_tenants(warehouse, file, NOW)
    state = desk.sandbox.sandbox
    key, made = state.account.keys[key_hash], len(state.account.keys)
    found = become(desk, "suspended", TENANT)
    assert states(found) == READY | {"openai": "pending"}
    assert "were not made here" in str(found["openai"].reason)
    assert key.is_disabled(NOW)
    assert states(become(desk, "active", TENANT)) == READY
    assert not key.is_disabled(NOW)
    assert len(state.account.keys) == made
    assert states(become(desk, "offboarded", TENANT)) == READY
    assert key.is_disabled(NOW)
    assert state.organizations[world.organizations[0].id].projects[project_id].archived_at is not None


def test_what_a_tenant_has_on_another_connection_is_named_until_it_is_stopped_there(desk: Desk) -> None:
    """An order is done with one connection: the other one's project and key are not reached by its keys."""
    desk.provision(ATLAS)

    def listed(day: int, *, in_use: bool) -> None:
        with open_warehouse(desk.settings.warehouse_path) as warehouse:
            for provider, kind in (("openai", "project"), ("openrouter", "key")):
                binding = Binding("atlas-co", provider, kind, f"{kind}_elsewhere", date(2026, 6, 1))
                bind(warehouse, binding, NOW)
            warehouse.execute(
                """
                INSERT INTO raw.openai_projects BY NAME
                SELECT 'second' AS connection_id, 'l' AS load_id, make_date(2026, 6, $1) AS snapshot_date,
                    'project_elsewhere' AS project_id, $2 AS created_at, CASE WHEN NOT $3 THEN $2 END AS archived_at;
                """,
                [day, NOW, in_use],
            )
            warehouse.execute(
                """
                INSERT INTO raw.openrouter_keys BY NAME
                SELECT 'third' AS connection_id, 'l' AS load_id, make_date(2026, 6, $1) AS snapshot_date,
                    'key_elsewhere' AS key_hash, 'x' AS name, 'x' AS label, NOT $2 AS disabled, '' AS created_at,
                    0 AS usage_usd, 0 AS byok_usage_usd
                """,
                [day, in_use],
            )

    for status in ("suspended", "offboarded"):
        listed(10, in_use=True)
        found = become(desk, status)
        assert states(found) == {"openai": "pending", "openrouter": "pending"}
        assert "project_elsewhere on second" in str(found["openai"].reason)
        assert "key_elsewhere on third" in str(found["openrouter"].reason)
        listed(11, in_use=False)
        assert states(become(desk, status)) == READY
        desk.ask("DELETE FROM raw.openai_projects")
        desk.ask("DELETE FROM raw.openrouter_keys")
