"""What the doctor says of tenants: everything that was made to differ is found, and nothing else."""

from __future__ import annotations

from decimal import Decimal

import duckdb
import pytest

from tenants.desk import ATLAS, NOW, OTHER_RING, Desk
from tokenboard_etl.closing import republish
from tokenboard_etl.findings import Level
from tokenboard_etl.tenants.inspection import inspect
from tokenboard_etl.tenants.key_ring import KeyRing
from tokenboard_etl.tenants.provisioning.orders import request_rotation
from tokenboard_etl.tenants.provisioning.standing import request_status
from tokenboard_etl.tenants.tenant_keys import delete_key
from tokenboard_etl.tenants.vault import change_vault
from tokenboard_etl.warehouse.connection import open_warehouse


@pytest.fixture
def whole(desk: Desk) -> Desk:
    """A tenant who has rotated once."""
    desk.provision(ATLAS)
    with open_warehouse(desk.settings.warehouse_path) as warehouse:
        request_rotation(warehouse, "atlas-co", NOW)
        desk.go_on(warehouse)
    publish(desk)
    assert inspect(desk.settings) == []
    return desk


def publish(desk: Desk) -> None:
    with open_warehouse(desk.settings.warehouse_path) as warehouse:
        republish(warehouse, desk.settings)


def told(desk: Desk) -> list[tuple[str, str, str]]:
    return [(each.level.name, each.about, each.what) for each in inspect(desk.settings)]


def test_a_retired_key_that_is_open_again_and_one_that_is_gone(whole: Desk) -> None:
    retired, live = sorted(whole.router_keys(), key=lambda key: not key.is_disabled(NOW))
    retired.disabled, live.disabled = False, True
    whole.projects()[0].keys.clear()
    found = told(whole)
    assert {(level, about) for level, about, _ in found} == {("error", "atlas-co")}
    assert [(retired.hash in what, live.hash in what) for *_, what in found].count((True, False)) == 1
    assert sum("cannot be used at" in what for *_, what in found) == 2


def test_limits_that_were_changed_by_hand(whole: Desk) -> None:
    (live,) = [key for key in whole.router_keys() if not key.is_disabled(NOW)]
    live.limit = Decimal(5)
    whole.projects()[0].budget.limit_cents = None
    found = [what for level, about, what in told(whole) if (level, about) == ("warning", "atlas-co")]
    assert [what.partition(" and not")[0] for what in found] == [
        "the limit at openai is none",
        "the limit at openrouter is 5.00 USD",
    ]


def test_orphans_bear_a_tenants_name_and_are_nobodys(whole: Desk) -> None:
    state = whole.sandbox.sandbox
    key, _ = state.account.create(ATLAS.name, whole.sandbox.world.default_workspace_id, NOW)
    other, _ = state.account.create("somebody else", whole.sandbox.world.default_workspace_id, NOW)
    (finding,) = inspect(whole.settings)
    assert (finding.level, finding.about) == (Level.warning, "openrouter")
    assert key.hash in finding.what
    assert other.hash not in finding.what


def test_a_suspended_tenants_key_that_somebody_opened(whole: Desk) -> None:
    with open_warehouse(whole.settings.warehouse_path) as warehouse:
        request_status(warehouse, "atlas-co", "suspended", NOW)
        whole.go_on(warehouse)
    publish(whole)
    assert inspect(whole.settings) == []
    whole.router_keys()[-1].disabled = False
    (finding,) = inspect(whole.settings)
    assert (finding.level, finding.about) == (Level.error, "atlas-co")
    assert "suspended" in finding.what


def test_what_is_pending_is_told_with_its_reason(desk: Desk) -> None:
    desk.env["OPENAI_ADMIN_KEY"] = None
    desk.provision(ATLAS)
    publish(desk)
    ((level, about, what),) = told(desk)
    assert (level, about) == ("warning", "atlas-co")
    assert "OPENAI_ADMIN_KEY is not set" in what


def test_a_key_on_record_that_the_vault_has_lost(whole: Desk) -> None:
    """An earlier vault was put back, or none: a rotation makes another key, and no run could say so before."""
    (live,) = [key for key in whole.router_keys() if not key.is_disabled(NOW)]
    with change_vault(whole.settings.vault_path, KeyRing(whole.settings.encryption_keys)) as vault:
        delete_key(vault, "atlas-co", "openrouter", live.hash)
    ((level, about, what),) = told(whole)
    assert (level, about) == ("error", "atlas-co")
    assert f"the key {live.hash} of openrouter is not in the vault; `tokenboard tenants rotate atlas-co`" in what
    whole.settings.vault_path.unlink()
    assert len(told(whole)) == 2
    with open_warehouse(whole.settings.warehouse_path) as warehouse:
        request_rotation(warehouse, "atlas-co", NOW)
        whole.go_on(warehouse)
    publish(whole)
    assert inspect(whole.settings) == []


def test_entries_of_the_vault_that_do_not_decrypt(whole: Desk) -> None:
    with duckdb.connect(whole.settings.vault_path) as vault:
        vault.execute("UPDATE secrets SET owner = 'boreas' WHERE secret_id LIKE '%openrouter%'")
    ((level, about, _),) = told(whole)
    assert level == "error"
    assert about.startswith("vault tenant/atlas-co/openrouter/")
    whole.env["TOKENBOARD_ENCRYPTION_KEY"] = OTHER_RING
    assert [(level, about.startswith("vault ")) for level, about, _ in told(whole)] == [("error", True)] * 2
