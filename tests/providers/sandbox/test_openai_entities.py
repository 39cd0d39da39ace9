"""Projects, service accounts and keys: secrets once, archives for good, new things not visible at once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tokenboard_etl.providers.sandbox.server import RunningSandbox

PROJECTS = "/organization/projects"


def create(openai: httpx.Client, path: str, name: str) -> dict[str, Any]:
    answer = openai.post(path, json={"name": name})
    assert answer.status_code == 200, answer.text
    created: dict[str, Any] = answer.json()
    return created


def walk(openai: httpx.Client, **params: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        page = openai.get(PROJECTS, params=params).json()
        found += page["data"]
        assert page["last_id"] == page["data"][-1]["id"]
        if not page["has_more"]:
            return found
        params["after"] = page["last_id"]


def test_lists_hide_archived_projects_and_page_by_id(openai: httpx.Client, sandbox: RunningSandbox) -> None:
    everything = walk(openai, limit=3, include_archived="true")
    shown = walk(openai, limit=100)
    assert {p["id"] for p in everything} == {p.id for p in sandbox.world.organizations[0].projects}
    assert [p["status"] for p in everything if p not in shown] == ["archived"]
    assert openai.get(PROJECTS, params={"limit": 101}).status_code == 400
    assert openai.get(PROJECTS, params={"after": "proj_unknown"}).status_code == 400


def test_a_page_that_holds_everything_is_the_last(openai: httpx.Client) -> None:
    count = len(walk(openai, limit=100))
    page = openai.get(PROJECTS, params={"limit": count}).json()
    assert (len(page["data"]), page["has_more"]) == (count, False)


def test_a_renamed_project_had_another_name_before(openai: httpx.Client, sandbox: RunningSandbox) -> None:
    renamed = next(p for p in sandbox.world.organizations[0].projects if p.renamed_on)
    now = openai.get(f"{PROJECTS}/{renamed.id}").json()["name"]
    sandbox.set_clock(datetime(2026, 1, 31, tzinfo=UTC))
    assert (openai.get(f"{PROJECTS}/{renamed.id}").json()["name"], now) == ("Contoso Shop", "Contoso Retail")


def test_a_new_project_is_listed_at_once_and_readable_soon(openai: httpx.Client) -> None:
    project = create(openai, PROJECTS, 'Zoë\'s "new" =1+1')
    assert project["id"] in {p["id"] for p in walk(openai, limit=100)}
    answers = [openai.get(f"{PROJECTS}/{project['id']}").status_code for _ in range(3)]
    assert answers in ([404, 200, 200], [404, 404, 200])


def test_an_unknown_project_is_404_in_two_shapes(openai: httpx.Client) -> None:
    usual, older = openai.get(f"{PROJECTS}/proj_no"), openai.get(f"{PROJECTS}/proj_no/rate_limits")
    assert usual.json()["error"]["message"]
    assert older.json() == {"code": 404, "message": "The project proj_no was not found"}
    assert (usual.status_code, older.status_code) == (404, 404)


def test_the_default_project_cannot_be_changed(openai: httpx.Client, sandbox: RunningSandbox) -> None:
    default = next(p for p in sandbox.world.organizations[0].projects if p.is_default)
    for path in ("", "/archive", "/service_accounts"):
        assert openai.post(f"{PROJECTS}/{default.id}{path}", json={"name": "x"}).status_code == 400


def test_an_archived_project_is_closed_for_good(openai: httpx.Client) -> None:
    path = f"{PROJECTS}/{create(openai, PROJECTS, 'short-lived')['id']}"
    account = create(openai, f"{path}/service_accounts", "default")
    archived = openai.post(f"{path}/archive").json()
    assert (archived["status"], archived["archived_at"] is None) == ("archived", False)
    assert openai.post(path, json={"name": "again"}).status_code == 400
    assert openai.get(f"{path}/service_accounts").status_code == 400
    assert openai.post(f"{path}/service_accounts", json={"name": "x"}).status_code == 400
    assert openai.delete(f"{path}/service_accounts/{account['id']}").status_code == 400


def test_a_key_is_shown_once(openai: httpx.Client) -> None:
    path = f"{PROJECTS}/{create(openai, PROJECTS, 'secretive')['id']}"
    account = create(openai, f"{path}/service_accounts", "default")
    value = account["api_key"]["value"]
    assert value.startswith("sk-svcacct-SANDBOX-")
    one = f"{path}/service_accounts/{account['id']}"
    second = openai.post(f"{one}/api_keys", json={"name": "second"}).json()["value"]
    later = [f"{path}/service_accounts", one, f"{path}/api_keys?owner_project_access=any"]
    shown = "".join(openai.get(each).text for each in later)
    assert value not in shown
    assert second not in shown
    assert "SANDBOX" not in shown
    assert len(openai.get(f"{path}/api_keys").json()["data"]) == 2
    openai.delete(one)
    assert openai.get(f"{path}/api_keys?owner_project_access=any").json()["data"] == []


def test_creating_twice_makes_two(openai: httpx.Client) -> None:
    first, second = create(openai, PROJECTS, "twin"), create(openai, PROJECTS, "twin")
    assert first["id"] != second["id"]


def test_limits_are_whole_cents_and_know_the_spend(openai: httpx.Client, sandbox: RunningSandbox) -> None:
    path = f"{PROJECTS}/{sandbox.world.organizations[0].projects[1].id}/spend_limit"
    body: dict[str, Any] = {"currency": "USD", "interval": "month"}
    for cents, status in ((1, "enforcing"), (10**9, "inactive")):
        answer = openai.post(path, json={**body, "threshold_amount": cents}).json()
        assert answer["enforcement"] == {"status": status}
    for wrong in (0, 5.5, "500", True, None):
        assert openai.post(path, json={**body, "threshold_amount": wrong}).status_code == 400


@pytest.mark.parametrize(
    ("key", "status"),
    [
        (None, 401),
        ("sk-admin-SANDBOX-unknown", 401),
        ("sk-proj-abc", 403),
        ("sk-svcacct-SANDBOX-abc", 403),
    ],
)
def test_wrong_keys(sandbox: RunningSandbox, key: str | None, status: int) -> None:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    answer = httpx.get(f"{sandbox.openai_base_url}{PROJECTS}", headers=headers)
    assert answer.status_code == status
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert key is None or key not in answer.text


def test_the_organization_header_must_match_the_key(openai: httpx.Client, sandbox: RunningSandbox) -> None:
    first, second = sandbox.world.organizations
    assert openai.get(PROJECTS, headers={"OpenAI-Organization": first.id}).status_code == 200
    assert openai.get(PROJECTS, headers={"OpenAI-Organization": second.id}).status_code == 401


def test_the_credit_balance_wants_a_session(openai: httpx.Client, sandbox: RunningSandbox, org_id: str) -> None:
    path = "/dashboard/billing/credit_grants"
    refused = openai.get(path)
    assert refused.status_code == 403
    assert refused.json()["error"]["message"].endswith("You made it with the following key type: secret.")
    session = {"Authorization": f"Bearer {sandbox.world.session_tokens[org_id]}"}
    summary = openai.get(path, headers=session).json()
    assert summary["object"] == "credit_summary"
    assert sum(grant["grant_amount"] for grant in summary["grants"]["data"]) == summary["total_granted"]
