"""Every OpenAI answer, refusals included, fits the official specification (and the listed live deviations)."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import httpx
import pytest

USAGE = (
    "completions",
    "embeddings",
    "moderations",
    "images",
    "audio_speeches",
    "audio_transcriptions",
    "vector_stores",
    "code_interpreter_sessions",
    "file_search_calls",
    "web_search_calls",
)
PROJECT = "/organization/projects/{project_id}"
ALERT = {
    "threshold_amount": 100_000,
    "currency": "USD",
    "interval": "month",
    "notification_channel": {"type": "email", "recipients": ["ops@resale.example"], "subject_prefix": None},
}
LIMIT = {"threshold_amount": 50_000, "currency": "USD", "interval": "month"}


def start_of(day: date) -> int:
    return (day - date(1970, 1, 1)) // timedelta(seconds=1)


@pytest.fixture
def project(openai: httpx.Client) -> dict[str, Any]:
    created: dict[str, Any] = openai.post("/organization/projects", json={"name": "New <b>tenant</b>"}).json()
    return created


@pytest.mark.parametrize("group_by", [[], ["project_id"], ["line_item"], ["project_id", "line_item", "api_key_id"]])
def test_costs(openai: httpx.Client, openai_check: Any, yesterday: date, group_by: list[str]) -> None:
    params = {"start_time": start_of(yesterday), "group_by": group_by}
    body = openai_check("get", "/organization/costs", openai.get("/organization/costs", params=params))
    assert body["data"][0]["results"]


@pytest.mark.parametrize("endpoint", USAGE)
def test_usage(openai: httpx.Client, openai_check: Any, yesterday: date, endpoint: str) -> None:
    path = f"/organization/usage/{endpoint}"
    body = openai_check("get", path, openai.get(path, params={"start_time": start_of(yesterday)}))
    assert body["data"][0]["results"]


def test_decisions_have_the_frame_of_completions(openai: httpx.Client, openai_check: Any, yesterday: date) -> None:
    answer = openai.get("/organization/usage/decisions", params={"start_time": start_of(yesterday)})
    assert openai_check("get", "/organization/usage/completions", answer)["data"][0]["results"]


def test_projects(openai: httpx.Client, openai_check: Any, project: dict[str, Any]) -> None:
    path = f"/organization/projects/{project['id']}"
    openai_check("get", "/organization/projects", openai.get("/organization/projects"))
    openai_check("post", "/organization/projects", openai.post("/organization/projects", json={"name": "x"}))
    openai_check("post", PROJECT, openai.post(path, json={"name": "y"}))
    openai_check("post", f"{PROJECT}/archive", openai.post(f"{path}/archive"))
    for _ in range(2):
        answer = openai.get(path)
    openai_check("get", PROJECT, openai.get(path) if answer.status_code == 404 else answer)


def test_service_accounts(openai: httpx.Client, openai_check: Any, project: dict[str, Any]) -> None:
    path, template = f"/organization/projects/{project['id']}/service_accounts", f"{PROJECT}/service_accounts"
    account = openai_check("post", template, openai.post(path, json={"name": "default"}))
    bare = {"name": "bare", "create_service_account_only": True}
    assert openai_check("post", template, openai.post(path, json=bare))["api_key"] is None
    openai_check("get", template, openai.get(path))
    one, one_template = f"{path}/{account['id']}", f"{template}/{{service_account_id}}"
    openai_check("post", one_template, openai.post(one, json={"role": "owner"}))
    openai_check("post", f"{one_template}/api_keys", openai.post(f"{one}/api_keys", json={"name": "second"}))
    while (answer := openai.get(one)).status_code == 404:
        pass
    openai_check("get", one_template, answer)
    openai_check("delete", one_template, openai.delete(one))


def test_keys(openai: httpx.Client, openai_check: Any, project: dict[str, Any]) -> None:
    path, template = f"/organization/projects/{project['id']}/api_keys", f"{PROJECT}/api_keys"
    openai.post(f"/organization/projects/{project['id']}/service_accounts", json={"name": "default"})
    key = openai_check("get", template, openai.get(path))["data"][0]
    openai_check("get", f"{template}/{{api_key_id}}", openai.get(f"{path}/{key['id']}"))
    openai_check("delete", f"{template}/{{api_key_id}}", openai.delete(f"{path}/{key['id']}"))
    admin = openai_check("get", "/organization/admin_api_keys", openai.get("/organization/admin_api_keys"))
    one = openai.get(f"/organization/admin_api_keys/{admin['data'][0]['id']}")
    openai_check("get", "/organization/admin_api_keys/{key_id}", one)
    made = openai.post("/organization/admin_api_keys", json={"name": "second", "expires_in_seconds": 60})
    openai_check("post", "/organization/admin_api_keys", made)
    listed = openai_check("get", "/organization/admin_api_keys", openai.get("/organization/admin_api_keys"))
    assert [key["name"] for key in listed["data"]] == ["Reporting", "second"]
    assert listed["data"][1]["expires_at"] == listed["data"][1]["created_at"] + 60
    assert "value" not in listed["data"][1]


@pytest.mark.parametrize("of_project", [True, False])
def test_limits_and_alerts(openai: httpx.Client, openai_check: Any, project: dict[str, Any], of_project: bool) -> None:
    template = PROJECT if of_project else "/organization"
    path = template.replace("{project_id}", project["id"])
    for action, json in (("post", LIMIT), ("get", None), ("delete", None)):
        answer = openai.request(action, f"{path}/spend_limit", json=json)
        openai_check(action, f"{template}/spend_limit", answer)
    assert openai.get(f"{path}/spend_limit").status_code == 404
    alert = openai_check("post", f"{template}/spend_alerts", openai.post(f"{path}/spend_alerts", json=ALERT))
    openai_check("get", f"{template}/spend_alerts", openai.get(f"{path}/spend_alerts"))
    for action, json in (("get", None), ("post", ALERT), ("delete", None)):
        answer = openai.request(action, f"{path}/spend_alerts/{alert['id']}", json=json)
        openai_check(action, f"{template}/spend_alerts/{{alert_id}}", answer)


def test_rate_limits(openai: httpx.Client, openai_check: Any, project: dict[str, Any]) -> None:
    path = f"/organization/projects/{project['id']}/rate_limits"
    first = openai_check("get", f"{PROJECT}/rate_limits", openai.get(path))["data"][0]
    answer = openai.post(f"{path}/{first['id']}", json={"max_requests_per_1_minute": 0})
    openai_check("post", f"{PROJECT}/rate_limits/{{rate_limit_id}}", answer)
    assert openai.get(path).json()["data"][0] == {**first, "max_requests_per_1_minute": 0}


def test_the_validation_can_fail(openai: httpx.Client, openai_check: Any, yesterday: date) -> None:
    answer = openai.get("/organization/costs", params={"start_time": start_of(yesterday)})
    spoiled = httpx.Response(200, content=answer.content.replace(b'"bucket"', b'"bukket"'))
    with pytest.raises(AssertionError, match="object"):
        openai_check("get", "/organization/costs", spoiled)
