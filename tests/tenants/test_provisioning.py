"""Provisioning against the sandbox: what is made, what is on record, and what becomes of it when a provider fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from tenants.desk import ATLAS, NOW, OTHER_RING, Desk
from tokenboard_etl.errors import (
    EncryptionKeyMissing,
    EncryptionKeyWrong,
    RegistryError,
    SecretAltered,
    TokenboardError,
    VaultDamaged,
    WrongUse,
)
from tokenboard_etl.providers.sandbox.openai_state import ProjectState
from tokenboard_etl.redaction import redact
from tokenboard_etl.tenants.csv_import import import_tenants
from tokenboard_etl.tenants.details import parse_limit
from tokenboard_etl.tenants.key_ring import KeyRing
from tokenboard_etl.tenants.overview import overview
from tokenboard_etl.tenants.provisioning.orders import (
    Order,
    orders,
    request_limit,
    request_rotation,
)
from tokenboard_etl.tenants.provisioning.registering import Registration, planned, register, register_file
from tokenboard_etl.tenants.provisioning.run import require_vault
from tokenboard_etl.tenants.registry import Binding, bind, tenants
from tokenboard_etl.tenants.revealing import reveal
from tokenboard_etl.tenants.vault import read_vault
from tokenboard_etl.warehouse.connection import open_warehouse

BOTH = ("openai", "openrouter")


# --- what is made and what is on record


def test_a_tenant_gets_a_project_an_account_a_limit_alerts_and_a_key(desk: Desk) -> None:
    assert [(order.state, order.reason) for order in desk.provision(ATLAS)] == [("ready", None)] * 2
    desk.is_whole()
    (project,), (key,) = desk.projects(), desk.router_keys()
    assert [account.name for account in project.accounts.values()] == ["default"]
    assert project.budget.limit_cents == 20_000
    alerts = {(each.threshold_cents, *each.recipients) for each in project.budget.alerts.values()}
    assert alerts == {(cents, "ap@atlas.example") for cents in (10_000, 16_000, 20_000)}
    assert (key.limit, key.limit_reset, key.workspace_id) == (200, "monthly", desk.sandbox.world.default_workspace_id)
    assert project.external_key_id is None
    with open_warehouse(desk.settings.warehouse_path) as warehouse:
        found = overview(warehouse, "atlas-co")
    assert found["tenant"]["description"] == "Project for Atlas & Co - travel"
    assert {(each["kind"], each["account_id"]) for each in found["accounts"]} == {
        ("project", project.id),
        ("key", key.hash),
    }
    assert [each["label"] for each in found["keys"]] == [None, key.label]


def test_every_action_is_on_record_with_who_when_what_result_and_the_providers_request_id(desk: Desk) -> None:
    desk.provision(ATLAS)
    rows = desk.ask(
        "SELECT action, result, provider, tenant_id, began_at, actor, request_id FROM registry.audit ORDER BY action_no"
    )
    assert [(action, result) for action, result, *_ in rows] == [
        ("create project", "done"),
        ("create service account", "done"),
        ("set spend limit", "done"),
        ("create spend alert", "done"),
        ("create spend alert", "done"),
        ("create spend alert", "done"),
        ("create key", "done"),
    ]
    assert {(tenant_id, began_at) for *_, tenant_id, began_at, _, _ in rows} == {("atlas-co", NOW)}
    assert all(actor for *_, actor, _ in rows)
    assert len({request_id for *_, request_id in rows if request_id}) == len(rows)


def test_without_a_limit_and_without_an_address_there_are_none(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.provision(Registration("Bare"), Registration("Quiet", limit_usd=Decimal("49.50")))
    assert [(p.budget.limit_cents, len(p.budget.alerts)) for p in desk.projects("Bare")] == [(None, 0)]
    assert [(p.budget.limit_cents, len(p.budget.alerts)) for p in desk.projects("Quiet")] == [(4_950, 0)]
    assert [(key.limit, key.limit_reset) for key in desk.router_keys("Bare")] == [(None, "monthly")]
    assert "quiet has no spend alerts" in caplog.text


def test_alerts_go_to_the_operator_of_the_policy_before_the_tenant(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("operator_email: ops@example.com\n")
    desk.env["TOKENBOARD_POLICY"] = str(tmp_path / "policy.yaml")
    desk.provision(ATLAS)
    (project,) = desk.projects()
    assert {tuple(alert.recipients) for alert in project.budget.alerts.values()} == {("ops@example.com",)}


def test_a_plan_asks_nobody_and_leaves_nothing(desk: Desk) -> None:
    before = desk.sandbox.request_count()
    desk.env["OPENROUTER_MANAGEMENT_KEY"] = None
    with open_warehouse(desk.settings.warehouse_path) as warehouse:
        lines = planned(warehouse, desk.settings, ATLAS, BOTH)
        assert tenants(warehouse) == []
    assert lines == [
        "atlas-co: Project for Atlas & Co - travel",
        "  openai: a project 'Atlas & Co', a service account with its key, limit 200.00 USD a month, "
        "alerts to ap@atlas.example",
        "  openrouter: stays pending until its key is configured (a key 'Atlas & Co', limit 200.00 USD a month)",
    ]
    assert desk.sandbox.request_count() == before


# --- names


@pytest.mark.parametrize("name", ["", "  ", "x" * 300, "a\nb", "a\u202eb", "a\x00b"])
def test_a_name_that_cannot_be_is_refused_before_any_call(desk: Desk, name: str) -> None:
    before = desk.sandbox.request_count()
    with pytest.raises(RegistryError):
        desk.provision(Registration(name))
    assert desk.sandbox.request_count() == before
    assert desk.ask("FROM registry.tenants") == desk.ask("FROM registry.audit") == []


@pytest.mark.parametrize("other", ["CAF\u00c9 M\u00dcLLER", "cafe\u0301 mu\u0308ller", "\uff43afé müller"])
def test_a_name_that_is_taken_in_another_case_or_unicode_form_is_refused_before_any_call(
    desk: Desk, other: str
) -> None:
    desk.provision(Registration("Caf\u00e9 M\u00fcller"))
    before = desk.sandbox.request_count()
    with pytest.raises(RegistryError, match="belongs to the tenant caf-m-ller"):
        desk.provision(Registration(other))
    assert desk.sandbox.request_count() == before


@pytest.mark.parametrize(
    "name",
    ["<script>alert(1)</script>", "'; DROP TABLE registry.tenants; --", "../../etc/passwd", "=1+1", "\u682a\u5f0f"],
)
def test_a_name_that_would_do_harm_elsewhere_is_data_here(desk: Desk, name: str) -> None:
    desk.provision(Registration(name))
    assert desk.ask("SELECT name FROM registry.tenants") == [(name,)]
    assert len(desk.projects(name)) == len(desk.router_keys(name)) == 1


def test_a_renamed_tenant_keeps_its_earlier_names_and_its_project(desk: Desk, tmp_path: Path) -> None:
    desk.provision(ATLAS)
    file = tmp_path / "names.csv"
    head = "tenant_id,name,industry,country,currency,billing_email,openai_project_id,openrouter_key_hash,valid_from"
    file.write_text(f"{head}\natlas-co,Atlas Travel,,,,,,,\n")
    with open_warehouse(desk.settings.warehouse_path) as warehouse:
        import_tenants(warehouse, file, NOW)
    names = desk.ask("SELECT name FROM registry.tenant_names ORDER BY since, name")
    assert names == [("Atlas & Co",), ("Atlas Travel",)]
    assert [order.state for order in desk.provision()] == ["ready", "ready"]


@pytest.mark.parametrize("text", ["0", "-1", "x", "NaN", "1e12", "0.001", "Infinity"])
def test_a_limit_that_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(WrongUse):
        parse_limit(text)


# --- providers that fail


def test_a_provider_without_a_key_stays_pending_and_is_completed_later(desk: Desk) -> None:
    desk.env["OPENAI_ADMIN_KEY"] = None
    states = {order.provider: (order.state, order.reason) for order in desk.provision(ATLAS)}
    assert states["openrouter"] == ("ready", None)
    assert states["openai"] == ("pending", "openai is not configured (OPENAI_ADMIN_KEY is not set)")
    assert desk.projects() == []
    del desk.env["OPENAI_ADMIN_KEY"]
    desk.provision()
    desk.is_whole()
    posts = desk.sandbox.request_count("POST /openrouter/api/v1/keys")
    assert posts == 1


@pytest.mark.parametrize("status", [400, 500, 503])
def test_a_provider_that_fails_keeps_the_other_one_from_nothing(desk: Desk, status: int) -> None:
    desk.sandbox.add_fault("status", "/openai/", status=status)
    states = {order.provider: (order.state, order.reason) for order in desk.provision(ATLAS)}
    assert states["openrouter"] == ("ready", None)
    assert states["openai"][0] == "pending"
    assert f"HTTP {status}" in str(states["openai"][1])
    desk.sandbox.clear_faults()
    desk.provision()
    desk.is_whole()


def test_a_refused_key_is_said_once_and_not_tried_for_the_next_tenant(desk: Desk) -> None:
    desk.env["OPENROUTER_MANAGEMENT_KEY"] = "sk-or-v1-nobody-0123456789"
    found = desk.provision(ATLAS, Registration("Boreas"))
    reasons = {str(order.reason) for order in found if order.provider == "openrouter"}
    assert len(reasons) == 1
    assert "refused the key" in reasons.pop()
    assert desk.sandbox.request_count("/openrouter/") == 1
    assert [order.state for order in found if order.provider == "openai"] == ["ready", "ready"]


def test_too_many_requests_are_answered_by_waiting_as_long_as_the_provider_says(desk: Desk) -> None:
    desk.sandbox.add_fault("status", "POST /openai/v1/organization/projects", status=429, retry_after=7, times=2)
    desk.sandbox.add_fault("status", "POST /openrouter/api/v1/keys", status=429, times=1)
    desk.provision(ATLAS)
    assert desk.slept == [7, 7, 2]
    desk.is_whole()


def test_what_was_just_made_may_be_unknown_for_a_while(desk: Desk) -> None:
    for part in ("service_accounts", "spend_limit", "spend_alerts"):
        match = f"/{part}"
        desk.sandbox.add_fault("status", match, status=404, times=2)
    desk.provision(ATLAS)
    assert desk.slept == [1, 2, 1, 2, 1, 2]
    desk.is_whole()


@pytest.mark.parametrize("kind", ["crash_after_create", "truncated", "cut_json", "malformed"])
@pytest.mark.parametrize(
    "match",
    ["POST /openai/v1/organization/projects", "/service_accounts", "/spend_alerts", "POST /openrouter/api/v1/keys"],
)
def test_a_lost_answer_is_looked_into_at_once(desk: Desk, kind: str, match: str) -> None:
    more = {"variant": "text"} if kind == "malformed" else {}
    desk.sandbox.add_fault(kind, match, times=3, **more)
    desk.provision(ATLAS)
    desk.sandbox.clear_faults()
    desk.provision()
    desk.is_whole()
    (project,) = desk.projects()
    assert sorted(alert.threshold_cents for alert in project.budget.alerts.values()) == [10_000, 16_000, 20_000]
    assert desk.ask("SELECT action FROM registry.audit WHERE result IN ('begun', 'lost')") == []


def test_an_answer_without_a_key_makes_no_tenant_of_it(desk: Desk) -> None:
    """An empty text would be stored as the key, and blotted out between all letters of every message."""
    for match in ("/service_accounts", "POST /openrouter/api/v1/keys"):
        desk.sandbox.add_fault("malformed", match, variant="no_key", times=2)
    desk.provision(ATLAS)
    desk.is_whole()
    lost = desk.ask("SELECT DISTINCT detail FROM registry.audit WHERE result IN ('undone', 'lost') ORDER BY 1")
    assert [str(detail).endswith("Input should be a key: 16 characters or more, and no blanks") for (detail,) in lost]
    assert redact("nothing") == "nothing"


def test_a_time_in_another_unit_is_no_defect_of_ours(desk: Desk) -> None:
    desk.sandbox.add_fault("malformed", "POST /openai/v1/organization/projects", variant="milliseconds", times=1)
    desk.provision(ATLAS)
    desk.is_whole()


def test_one_tenant_who_gets_no_answer_keeps_no_others_waiting(desk: Desk) -> None:
    """Every run would end at that one. Two without an answer are an outage, and the third is not tried."""
    desk.provision(ATLAS)
    desk.sandbox.add_fault("status", f"/{desk.projects()[0].id}/", status=500)
    change(desk, lambda warehouse: request_limit(warehouse, "atlas-co", Decimal(3), NOW))
    found = desk.provision(Registration("Boreas"), Registration("Cirrus"))
    assert [(o.tenant_id, o.provider) for o in found if o.state == "pending"] == [("atlas-co", "openai")]
    desk.sandbox.add_fault("status", "POST /openai/v1/organization/projects", status=500)
    found = desk.provision(Registration("Dorado"), Registration("Eos"))
    assert [o.tenant_id for o in found if o.state == "pending"] == ["atlas-co", "dorado", "eos"]
    assert desk.ask(
        "SELECT DISTINCT tenant_id FROM registry.audit WHERE action = 'create project' AND result <> 'done'"
    ) == [("dorado",)]


def test_what_others_named_alike_is_never_taken_over_nor_deleted(desk: Desk) -> None:
    """It was there before, so no lost answer of ours made it."""
    theirs = desk.sandbox.sandbox
    desk.provision(ATLAS)
    (project,), (key,) = desk.projects(), desk.router_keys()
    desk.home = desk.home.with_name("another-home")
    desk.sandbox.add_fault("crash_after_create", "POST /openai/v1/organization/projects", times=1)
    desk.sandbox.add_fault("crash_after_create", "POST /openrouter/api/v1/keys", times=1)
    assert [order.state for order in desk.provision(ATLAS)] == ["ready", "ready"]
    assert len(desk.projects()) == len(desk.router_keys()) == 2
    assert key.hash in theirs.account.keys
    assert len(project.accounts) == 1
    assert desk.ask("SELECT project_id FROM registry.provisioning WHERE provider = 'openai'") != [(project.id,)]


def test_a_key_that_was_used_is_somebodys_and_not_deleted(desk: Desk) -> None:
    """It came to be while the answer was being lost, under the tenant's name, and was not ours."""
    desk.sandbox.add_fault("reset", "POST /openrouter/api/v1/keys")
    desk.provision(ATLAS)
    seeded = next(key for key in desk.sandbox.world.account.keys if key.tenant_id == "northwind-analytics")
    theirs = desk.sandbox.sandbox.account.keys[seeded.hash]
    theirs.name = ATLAS.name
    desk.sandbox.clear_faults()
    desk.provision()
    assert desk.sandbox.sandbox.account.keys[seeded.hash] is theirs
    theirs.name = seeded.name
    desk.is_whole()


def test_two_projects_that_a_lost_answer_could_have_made_are_for_a_person_to_decide(desk: Desk) -> None:
    org = desk.sandbox.sandbox.organizations[desk.sandbox.world.organizations[0].id]
    desk.sandbox.add_fault("reset", "POST /openai/v1/organization/projects")
    desk.provision(ATLAS)
    for number in ("1", "2"):
        org.projects[f"proj_{number}"] = ProjectState(f"proj_{number}", int(NOW.timestamp()), ATLAS.name, None)
    desk.sandbox.clear_faults()
    (openai, _) = desk.provision()
    assert openai.state == "pending"
    assert "2 projects 'Atlas & Co'" in str(openai.reason)
    org.projects["proj_2"].archived_at = int(NOW.timestamp())
    (openai, _) = desk.provision()
    assert (openai.state, openai.project_id) == ("ready", "proj_1")


# --- the vault


def unusable(desk: Desk, kind: type[TokenboardError]) -> None:
    """Refused before any call, with nothing written."""
    asked, before = desk.sandbox.request_count(), desk.settings.vault_path.read_bytes()
    with pytest.raises(kind):
        require_vault(desk.settings)
    with pytest.raises(kind):
        desk.provision(Registration("Boreas"))
    assert desk.sandbox.request_count() == asked
    assert desk.settings.vault_path.read_bytes() == before


def test_a_provider_that_is_named_twice_makes_one_of_everything(desk: Desk, tmp_path: Path) -> None:
    twice = ("openai", "openai", "openrouter", "openrouter")
    file = tmp_path / "tenants.csv"
    file.write_text("name\nBoreas\n")
    with open_warehouse(desk.settings.warehouse_path) as warehouse:
        register_file(warehouse, file, twice, NOW)
    found = desk.provision(replace(ATLAS, providers=twice))
    assert [(o.tenant_id, o.provider) for o in found] == [(t, p) for t in ("atlas-co", "boreas") for p in BOTH]
    desk.is_whole()
    desk.is_whole("Boreas", "boreas")


def test_a_limit_that_is_asked_for_of_a_pending_tenant_is_never_left_out(desk: Desk) -> None:
    desk.env["OPENAI_ADMIN_KEY"] = None
    desk.provision(replace(ATLAS, limit_usd=None))
    with pytest.raises(RegistryError, match="atlas-co is pending with no limit; `tokenboard tenants limit"):
        desk.provision(ATLAS)
    change(desk, lambda warehouse: request_limit(warehouse, "atlas-co", Decimal(200), NOW))
    desk.env.clear()
    desk.provision(ATLAS)
    (project,) = desk.projects()
    assert project.budget.limit_cents == 20_000


@pytest.mark.parametrize("limit_usd", [None, Decimal(200)])
def test_accounts_that_were_not_made_here_are_not_said_to_have_a_limit_or_a_new_key(
    desk: Desk, limit_usd: Decimal | None
) -> None:
    """Neither is set at them, so nobody must be told that it was."""
    with open_warehouse(desk.settings.warehouse_path) as warehouse:
        register(warehouse, replace(ATLAS, providers=("openai",), limit_usd=limit_usd), NOW)
        bind(warehouse, Binding("atlas-co", "openai", "project", "proj_theirs", date(2026, 1, 1)), NOW)
        (order,) = desk.go_on(warehouse)
        assert (order.state, order.limit_usd) == ("ready", None)
        assert request_limit(warehouse, "atlas-co", Decimal(200), NOW) == 0
        assert request_rotation(warehouse, "atlas-co", NOW) == 0
        assert orders(warehouse) == [order]


def test_without_a_key_for_the_vault_nothing_is_asked_of_a_provider(desk: Desk) -> None:
    desk.env["TOKENBOARD_ENCRYPTION_KEY"] = None
    before = desk.sandbox.request_count()
    with pytest.raises(EncryptionKeyMissing):
        desk.provision(ATLAS)
    assert desk.sandbox.request_count() == before


def test_another_key_for_the_vault_is_refused_before_any_call(desk: Desk) -> None:
    desk.provision(ATLAS)
    desk.env["TOKENBOARD_ENCRYPTION_KEY"] = OTHER_RING
    unusable(desk, EncryptionKeyWrong)
    with pytest.raises(EncryptionKeyWrong):
        reveal(desk.settings, "atlas-co", "openai")


def test_a_vault_that_is_cut_short_is_refused_before_any_call(desk: Desk) -> None:
    desk.provision(ATLAS)
    whole = desk.settings.vault_path.read_bytes()
    desk.settings.vault_path.write_bytes(whole[: len(whole) // 2])
    unusable(desk, VaultDamaged)


def test_keys_that_changed_places_are_not_shown(desk: Desk) -> None:
    desk.provision(ATLAS, Registration("Boreas"))
    with duckdb.connect(desk.settings.vault_path) as vault:
        ids = [
            row[0] for row in vault.execute("SELECT secret_id FROM secrets WHERE secret_id LIKE '%openai%'").fetchall()
        ]
        for old, new in ((ids[0], "x"), (ids[1], ids[0]), ("x", ids[1])):
            vault.execute("UPDATE secrets SET secret_id = $2 WHERE secret_id = $1", [old, new])
        vault.execute("UPDATE secrets SET owner = split_part(secret_id, '/', 2)")
    before = desk.settings.vault_path.read_bytes()
    for tenant_id in ("atlas-co", "boreas"):
        with pytest.raises(SecretAltered, match=tenant_id):
            reveal(desk.settings, tenant_id, "openai")
        assert reveal(desk.settings, tenant_id, "openrouter")
    assert desk.settings.vault_path.read_bytes() == before


def test_showing_a_key_is_on_record(desk: Desk) -> None:
    desk.provision(ATLAS)
    reveal(desk.settings, "atlas-co", "openai")
    assert desk.ask("SELECT provider, result FROM registry.audit WHERE action = 'reveal key'") == [("openai", "done")]
    with pytest.raises(RegistryError, match="No key of 'boreas'"):
        reveal(desk.settings, "boreas", "openai")


# --- later


def change(desk: Desk, wish: Callable[[duckdb.DuckDBPyConnection], int]) -> list[Order]:
    with open_warehouse(desk.settings.warehouse_path) as warehouse:
        assert wish(warehouse) == 2
        return desk.go_on(warehouse)


def test_a_limit_is_changed_at_both_providers_with_its_alerts(desk: Desk) -> None:
    desk.provision(ATLAS)
    change(desk, lambda warehouse: request_limit(warehouse, "atlas-co", Decimal("49.50"), NOW))
    (project,), (key,) = desk.projects(), desk.router_keys()
    assert (project.budget.limit_cents, key.limit) == (4_950, Decimal("49.5"))
    assert sorted(alert.threshold_cents for alert in project.budget.alerts.values()) == [2_475, 3_960, 4_950]


def test_a_rotated_key_is_another_one_and_the_earlier_one_is_out_of_use(desk: Desk) -> None:
    desk.provision(ATLAS)
    earlier = {each: reveal(desk.settings, "atlas-co", each).get_secret_value() for each in BOTH}
    change(desk, lambda warehouse: request_rotation(warehouse, "atlas-co", NOW))
    desk.is_whole()
    assert all(reveal(desk.settings, "atlas-co", each).get_secret_value() != earlier[each] for each in BOTH)
    old = desk.sandbox.sandbox.account.by_value(earlier["openrouter"])
    assert old.is_disabled(NOW)
    assert len(desk.ask("FROM registry.keys WHERE retired_at IS NOT NULL")) == 2
    with read_vault(desk.settings.vault_path, KeyRing(desk.settings.encryption_keys)) as vault:
        assert len(vault.secrets()) == 2
    accounts = desk.ask("SELECT account_id FROM registry.accounts WHERE valid_until IS NULL AND kind = 'key'")
    assert (old.hash,) in accounts  # what it spent, and what is restated of it later, is still the tenant's


def test_the_earlier_key_goes_only_after_the_new_one_is_stored_and_known(desk: Desk) -> None:
    desk.provision(ATLAS)
    desk.sandbox.add_fault("status", "/api_keys", status=500)
    desk.sandbox.add_fault("status", "PATCH", status=500)
    found = change(desk, lambda warehouse: request_rotation(warehouse, "atlas-co", NOW))
    assert {order.state for order in found} == {"pending"}
    assert [len(project.accounts) for project in desk.projects()] == [2]
    assert [key.is_disabled(NOW) for key in desk.router_keys()] == [False, False]
    desk.sandbox.clear_faults()
    desk.provision()
    desk.is_whole()


# --- files


def test_a_file_registers_all_and_doubles_nothing_that_is_there(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "tenants.csv"
    file.write_text(
        "name,industry,limit_usd,openai_project_id,valid_from\nAtlas & Co,travel,200,,\nBoreas,,,proj_x,2026-01-01\n"
    )
    with open_warehouse(desk.settings.warehouse_path) as warehouse:
        for _ in range(2):
            assert register_file(warehouse, file, BOTH, NOW) == ["atlas-co", "boreas"]
        found = desk.go_on(warehouse)
        assert register_file(warehouse, file, BOTH, NOW) == ["atlas-co", "boreas"]
        assert desk.go_on(warehouse) == found
    assert [(o.tenant_id, o.provider, o.state, o.limit_usd) for o in found] == [
        ("atlas-co", "openai", "ready", 200),
        ("atlas-co", "openrouter", "ready", 200),
        ("boreas", "openrouter", "ready", None),
    ]
    desk.is_whole()


def test_a_file_with_one_bad_row_registers_nobody(desk: Desk, tmp_path: Path) -> None:
    file = tmp_path / "tenants.csv"
    file.write_text("name,limit_usd\nAtlas & Co,200\nBoreas,0.001\n")
    with open_warehouse(desk.settings.warehouse_path) as warehouse:
        with pytest.raises(RegistryError, match=r"line 3: A limit of '0\.001' USD has parts of a cent"):
            register_file(warehouse, file, BOTH, NOW)
        assert tenants(warehouse) == orders(warehouse) == []
