"""Keys: pages, hidden ones, workspaces, secrets shown once, and who may ask."""

from __future__ import annotations

from collections import Counter
from hashlib import sha256
from typing import Any

import httpx
import pytest

from tokenboard_etl.providers.sandbox.server import RunningSandbox


def walk(openrouter: httpx.Client, **params: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        page = openrouter.get("/keys", params={**params, "offset": len(found)}).json()["data"]
        found += page
        if len(page) < 100:
            return found


@pytest.fixture
def inference(sandbox: RunningSandbox) -> httpx.Client:
    key = next(key for key in sandbox.world.account.keys if key.disabled_on is None)
    headers = {"Authorization": f"Bearer {key.value}"}
    return httpx.Client(base_url=sandbox.openrouter_base_url, headers=headers)


def test_pages_of_a_hundred_newest_first_of_the_default_workspace(
    openrouter: httpx.Client, sandbox: RunningSandbox
) -> None:
    assert len(openrouter.get("/keys?include_disabled=true").json()["data"]) == 100
    default, labs = sandbox.world.account.workspaces
    keys = walk(openrouter, include_disabled="true")
    assert {key["hash"] for key in keys} == {k.hash for k in sandbox.world.account.keys if k.workspace_id == default.id}
    assert [key["created_at"] for key in keys] == sorted((key["created_at"] for key in keys), reverse=True)
    others = walk(openrouter, include_disabled="true", workspace_id=labs.id)
    assert len(keys) + len(others) == len(sandbox.world.account.keys) > 100


def test_disabled_and_expired_keys_are_hidden(openrouter: httpx.Client) -> None:
    assert not any(key["disabled"] for key in walk(openrouter))
    assert sum(key["disabled"] for key in walk(openrouter, include_disabled="true")) >= 4
    body = {"name": "old", "expires_at": "2026-11-20T14:29:59Z"}
    expired = openrouter.post("/keys", json=body).json()["data"]["hash"]
    assert expired not in {key["hash"] for key in walk(openrouter)}
    assert expired in {key["hash"] for key in walk(openrouter, include_expired="true")}


def test_two_keys_share_a_name(openrouter: httpx.Client) -> None:
    names = Counter(key["name"] for key in walk(openrouter))
    assert names["shared-name"] >= 2


def test_the_secret_is_shown_once_and_its_hash_is_the_id(openrouter: httpx.Client) -> None:
    answer = openrouter.post("/keys", json={"name": "once"})
    value, key = answer.json()["key"], answer.json()["data"]
    assert answer.status_code == 201
    assert value.startswith("sk-or-v1-SANDBOX-")
    assert sha256(value.encode()).hexdigest() == key["hash"]
    shown = openrouter.get("/keys").text + openrouter.get(f"/keys/{key['hash']}").text
    assert "SANDBOX" not in shown


def test_a_patch_changes_only_what_it_names(openrouter: httpx.Client, sandbox: RunningSandbox) -> None:
    key = sandbox.world.account.keys[1]
    before = openrouter.get(f"/keys/{key.hash}").json()["data"]
    body = {"limit": 7.25, "workspace_id": sandbox.world.account.workspaces[1].id}
    after = openrouter.patch(f"/keys/{key.hash}", json=body).json()["data"]
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"limit", "limit_remaining", "workspace_id", "updated_at"}
    assert after["limit"] == 7.25


def test_the_remainder_of_a_limit_counts_its_own_period(openrouter: httpx.Client) -> None:
    limited = next(key for key in walk(openrouter) if key["limit"] and key["usage_monthly"] < key["limit"])
    assert limited["limit_remaining"] == pytest.approx(limited["limit"] - limited["usage_monthly"])
    body = {"limit": 1_000_000, "limit_reset": "daily"}
    daily = openrouter.patch(f"/keys/{limited['hash']}", json=body).json()["data"]
    assert daily["limit_remaining"] == pytest.approx(1_000_000 - daily["usage_daily"])


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "x", "limit": "lots"},
        {"name": "x", "limit": -1},
        {"name": "x", "limit_reset": "yearly"},
        {"name": "x", "expires_at": "2027-01-01"},
        {"name": "x", "workspace_id": "3f0c1f6e-0000-4000-8000-000000000001"},
    ],
)
def test_bad_keys_are_refused_and_not_made(openrouter: httpx.Client, body: dict[str, Any]) -> None:
    before = len(walk(openrouter))
    assert openrouter.post("/keys", json=body).status_code == 400
    assert len(walk(openrouter)) == before


def test_what_an_inference_key_may_see(inference: httpx.Client, openrouter: httpx.Client) -> None:
    with inference:
        assert inference.get("/key").json()["data"]["is_management_key"] is False
        assert inference.get("/credits").json() == {"data": {"total_credits": 0, "total_usage": 0}}
        for path in ("/keys", "/activity", "/workspaces", "/analytics/meta"):
            refused = inference.get(path)
            assert refused.status_code == 403
            message = "Only management keys can perform this operation"
            assert refused.json() == {"error": {"code": 403, "message": message}}
    assert openrouter.get("/key").json()["data"]["is_management_key"] is True


def test_a_disabled_key_is_nobody(openrouter: httpx.Client, sandbox: RunningSandbox) -> None:
    created = openrouter.post("/keys", json={"name": "soon off"}).json()
    headers = {"Authorization": f"Bearer {created['key']}"}
    url = f"{sandbox.openrouter_base_url}/key"
    assert httpx.get(url, headers=headers).status_code == 200
    openrouter.patch(f"/keys/{created['data']['hash']}", json={"disabled": True})
    assert httpx.get(url, headers=headers).status_code == 401
