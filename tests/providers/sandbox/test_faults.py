"""Failures on request, the clock, the request log, and a server that comes and goes cleanly."""

from __future__ import annotations

import socket
import time
from typing import Any

import httpx
import pytest

from tokenboard_etl.providers.sandbox.server import RunningSandbox, running_sandbox


def test_a_status_comes_as_often_as_asked(openai: httpx.Client, sandbox: RunningSandbox) -> None:
    sandbox.add_fault("status", "/organization/projects", status=429, retry_after=1, times=2)
    answers = [openai.get("/organization/projects") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 429, 200]
    assert answers[0].headers["retry-after"] == "1"
    assert answers[0].json()["error"]["type"] == "server_error"
    assert openai.get("/organization/admin_api_keys").status_code == 200


def test_a_429_may_say_nothing_about_when(openrouter: httpx.Client, sandbox: RunningSandbox) -> None:
    sandbox.add_fault("status", "/credits", status=429, times=1)
    answer = openrouter.get("/credits")
    assert "retry-after" not in answer.headers
    assert answer.json()["error"]["code"] == 429


@pytest.mark.parametrize(
    "rule",
    [{"kind": "reset"}, {"kind": "reset", "where": "body"}, {"kind": "truncated"}, {"kind": "crash_after_create"}],
)
def test_broken_connections(openrouter: httpx.Client, sandbox: RunningSandbox, rule: dict[str, Any]) -> None:
    sandbox.add_fault(match="/keys", times=1, **rule)
    with pytest.raises(httpx.TransportError):
        openrouter.get("/keys")
    assert openrouter.get("/keys").status_code == 200


def test_a_create_can_take_effect_without_an_answer(openai: httpx.Client, sandbox: RunningSandbox) -> None:
    sandbox.add_fault("crash_after_create", "POST /openai/v1/organization/projects", times=1)
    with pytest.raises(httpx.TransportError):
        openai.post("/organization/projects", json={"name": "lost answer"})
    names = [p["name"] for p in openai.get("/organization/projects?limit=100").json()["data"]]
    assert names.count("lost answer") == 1


def test_half_a_document(openrouter: httpx.Client, sandbox: RunningSandbox) -> None:
    sandbox.add_fault("cut_json", "/models", times=1)
    answer = openrouter.get("/models")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        answer.json()


def test_wrong_types_and_no_json(openai: httpx.Client, sandbox: RunningSandbox) -> None:
    sandbox.add_fault("malformed", "/costs", times=1)
    sandbox.add_fault("malformed", "/costs", times=1, variant="text")
    params = {"start_time": 1_795_046_400, "limit": 1}
    row = openai.get("/organization/costs", params=params).json()["data"][0]["results"][0]
    assert row["amount"]["value"] is True
    assert openai.get("/organization/costs", params=params).text.startswith("<html>")


def test_a_slow_answer_is_late(openrouter: httpx.Client, sandbox: RunningSandbox) -> None:
    sandbox.add_fault("slow", "/credits", times=1, delay=0.2)
    begun = time.monotonic()
    assert openrouter.get("/credits").status_code == 200
    assert time.monotonic() - begun >= 0.2


def test_a_tenth_of_all_requests_can_fail(openrouter: httpx.Client, sandbox: RunningSandbox) -> None:
    def outcomes() -> list[str]:
        sandbox.clear_faults()
        sandbox.add_fault("any", probability=0.1, seed=7)
        seen = []
        for _ in range(150):
            try:
                seen.append(str(openrouter.get("/workspaces").status_code))
            except httpx.TransportError:
                seen.append("cut")
        return seen

    first = outcomes()
    assert first == outcomes()
    assert 5 <= 150 - first.count("200") <= 30
    assert {"cut", "429"} <= set(first)


def test_the_control_endpoints(sandbox: RunningSandbox) -> None:
    with httpx.Client(base_url=f"{sandbox.base_url}/_sandbox") as control:
        assert control.post("/clock", json={"now": "2026-11-19T10:00:00+00:00"}).status_code == 200
        assert sandbox.sandbox.now().day == 19
        assert control.post("/clock", json={"now": "2026-11-19T10:00:00"}).status_code == 400
        assert control.post("/clock", json={"now": None}).status_code == 200
        rules = [{"match": "/models", "kind": "status", "status": 500, "times": 1}]
        assert control.post("/faults", json=rules).json() == {"rules": 1}
        assert control.post("/faults", json={"kind": "earthquake"}).status_code == 400
        assert httpx.get(f"{sandbox.openrouter_base_url}/models").status_code == 500
        assert control.delete("/faults").json() == {"rules": 0}
        log = control.get("/requests").json()
        assert log["counts"]["GET /openrouter/api/v1/models"] == sandbox.request_count("/models") == 1
        assert control.post("/reset").json() == {"reset": True}
        assert sandbox.request_count() == 0


def test_unknown_paths_answer_in_their_providers_shape(openai: httpx.Client, openrouter: httpx.Client) -> None:
    assert openai.get("/organization/balance").json()["error"]["code"] == "unknown_url"
    assert openrouter.get("/nothing").json()["error"]["code"] == 404


def test_two_servers_side_by_side_share_nothing(sandbox: RunningSandbox) -> None:
    with running_sandbox(seed=2) as other:
        assert other.port != sandbox.port
        assert httpx.get(f"{other.openrouter_base_url}/models").status_code == 200
        assert not set(other.env().values()) & set(sandbox.env().values())
        port = other.port
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)
