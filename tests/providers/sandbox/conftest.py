"""One sandbox for all tests of this folder, talked to over real HTTP, and the official specifications."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from jsonschema import Draft202012Validator, FormatChecker

from tokenboard_etl.providers.sandbox.server import RunningSandbox, running_sandbox

NOW = datetime(2026, 11, 20, 14, 30, tzinfo=UTC)
CONTRACTS = Path(__file__).resolve().parents[4] / "shared" / "contracts"

# Where the live service differs from its own specification, and how the sandbox follows the service.
DEVIATIONS: dict[str, list[tuple[str, Any, str]]] = {
    "openai-admin.openapi.yaml": [
        (
            "CostsResult/properties/amount/properties/value/type",
            ["number", "string"],
            "amounts have been strings on the live service since 2026-05",
        ),
        (
            "UsageTimeBucket/properties/results/items/oneOf/-",
            {
                "type": "object",
                "required": ["object", "input_tokens", "output_tokens", "num_model_requests"],
                "properties": {"object": {"const": "organization.usage.decisions.result"}},
            },
            "the decisions report is newer than the specification",
        ),
    ],
    "openrouter-admin.openapi.yaml": [],
}

Check = Callable[[str, str, httpx.Response], Any]


def read(response: httpx.Response) -> Any:
    """The body with every number as it is written."""
    return json.loads(response.content, parse_float=Decimal)


def epoch(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp())


@pytest.fixture(scope="session")
def server() -> Iterator[RunningSandbox]:
    with running_sandbox(now=NOW, analytics_per_minute=None) as running:
        yield running


@pytest.fixture
def sandbox(server: RunningSandbox) -> Iterator[RunningSandbox]:
    """The shared server as new: whatever the test creates or breaks is forgotten after it."""
    yield server
    server.reset()
    server.set_clock(NOW)
    server.sandbox.analytics_per_minute = None


@pytest.fixture
def today() -> date:
    return NOW.date()


@pytest.fixture
def yesterday(today: date) -> date:
    return today - timedelta(days=1)


@pytest.fixture
def org_id(sandbox: RunningSandbox) -> str:
    return sandbox.world.organizations[0].id


@pytest.fixture
def openai(sandbox: RunningSandbox) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {sandbox.env()['OPENAI_ADMIN_KEY']}"}
    with httpx.Client(base_url=sandbox.openai_base_url, headers=headers) as client:
        yield client


@pytest.fixture
def openrouter(sandbox: RunningSandbox) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {sandbox.world.management_key}"}
    with httpx.Client(base_url=sandbox.openrouter_base_url, headers=headers) as client:
        yield client


@pytest.fixture
def costs(openai: httpx.Client) -> Callable[..., list[dict[str, Any]]]:
    """All buckets of a costs query over days, walked to the end; gives the buckets."""

    def fetch(first: date, last: date, **params: Any) -> list[dict[str, Any]]:
        query = {"start_time": epoch(first), "end_time": epoch(last + timedelta(days=1)), "limit": 180, **params}
        buckets: list[dict[str, Any]] = []
        for _ in range(20):
            response = openai.get("/organization/costs", params=query)
            assert response.status_code == 200, response.text
            page = read(response)
            buckets += page["data"]
            if not page["has_more"] or not page["data"]:
                return buckets
            query["page"] = page["next_page"]
        raise AssertionError("the pages do not end")

    return fetch


@pytest.fixture(scope="session")
def openai_check() -> Check:
    return _checker("openai-admin.openapi.yaml")


@pytest.fixture(scope="session")
def openrouter_check() -> Check:
    return _checker("openrouter-admin.openapi.yaml")


def _checker(name: str) -> Check:
    path = CONTRACTS / name
    if not path.exists():
        pytest.skip(f"the official specification {name} is not beside the repository")
    document = yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    for pointer, value, _reason in DEVIATIONS[name]:
        _put(document["components"]["schemas"], pointer.split("/"), value)

    def check(method: str, template: str, response: httpx.Response) -> Any:
        """Validates an answer against the schema of its path and status; gives the body."""
        answers = document["paths"][template][method.lower()]["responses"]
        answer = answers[str(response.status_code)]
        if "$ref" in answer:
            answer = document["components"]["responses"][answer["$ref"].rpartition("/")[2]]
        schema = copy.copy(answer["content"]["application/json"]["schema"])
        validator = Draft202012Validator(
            {"allOf": [schema], "components": document["components"]}, format_checker=FormatChecker(["uuid"])
        )
        body = response.json()
        errors = [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(body)]
        assert not errors, f"{method} {template}: {errors[:3]}"
        return body

    return check


def _put(node: Any, path: list[str], value: Any) -> None:
    for step in path[:-1]:
        node = node[step]
    if path[-1] == "-":
        node.append(value)
    else:
        node[path[-1]] = value
