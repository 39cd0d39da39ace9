"""Every OpenRouter answer, refusals included, fits the official specification."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tokenboard_etl.providers.sandbox.server import RunningSandbox

READS = ("/key", "/keys", "/credits", "/activity", "/analytics/meta", "/workspaces", "/organization/members", "/models")
QUERY = {"metrics": ["credits_usage", "request_count"], "dimensions": ["model"], "granularity": "day"}


@pytest.mark.parametrize("path", READS)
def test_reads(openrouter: httpx.Client, openrouter_check: Any, path: str) -> None:
    assert openrouter_check("get", path, openrouter.get(path))["data"]


def test_a_key_from_birth_to_death(openrouter: httpx.Client, openrouter_check: Any) -> None:
    body = {"name": "new", "limit": 12.5, "limit_reset": "monthly", "expires_at": "2027-01-01T00:00:00Z"}
    created = openrouter_check("post", "/keys", openrouter.post("/keys", json=body))
    path = f"/keys/{created['data']['hash']}"
    openrouter_check("get", "/keys/{hash}", openrouter.get(path))
    openrouter_check("patch", "/keys/{hash}", openrouter.patch(path, json={"disabled": True}))
    openrouter_check("delete", "/keys/{hash}", openrouter.delete(path))
    openrouter_check("get", "/keys/{hash}", openrouter.get(path))


def test_workspaces(openrouter: httpx.Client, openrouter_check: Any, sandbox: RunningSandbox) -> None:
    for workspace in sandbox.world.account.workspaces:
        for name in (workspace.id, workspace.slug):
            openrouter_check("get", "/workspaces/{id}", openrouter.get(f"/workspaces/{name}"))
        answer = openrouter.get(f"/workspaces/{workspace.id}/budgets")
        openrouter_check("get", "/workspaces/{id}/budgets", answer)
    openrouter_check("get", "/workspaces/{id}", openrouter.get("/workspaces/none"))


def test_analytics(openrouter: httpx.Client, openrouter_check: Any) -> None:
    for body in (QUERY, {**QUERY, "dimensions": ["model", "api_key_id", "workspace"]}):
        openrouter_check("post", "/analytics/query", openrouter.post("/analytics/query", json=body))


def test_activity_by_workspace(openrouter: httpx.Client, openrouter_check: Any) -> None:
    rows = openrouter_check("get", "/activity", openrouter.get("/activity?group_by=workspace"))["data"]
    assert all("workspace_id" in row for row in rows)


@pytest.mark.parametrize("path", ["/credits", "/activity", "/workspaces", "/keys"])
def test_no_key(sandbox: RunningSandbox, openrouter_check: Any, path: str) -> None:
    openrouter_check("get", path, httpx.get(sandbox.openrouter_base_url + path))


def test_the_validation_can_fail(openrouter: httpx.Client, openrouter_check: Any) -> None:
    answer = openrouter.get("/credits")
    spoiled = httpx.Response(200, content=answer.content.replace(b"total_usage", b"total_usages"))
    with pytest.raises(AssertionError, match="total_usage"):
        openrouter_check("get", "/credits", spoiled)
