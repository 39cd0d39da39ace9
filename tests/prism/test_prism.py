"""The clients against the providers' own specifications, served by Prism.

Prism checks every request against the specification and answers with its sample, so nobody here decided what an
answer looks like.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import pytest
from pydantic import SecretStr

from tests.commands import tokenboard
from tokenboard_etl.errors import KeyRefused, ProviderRejected
from tokenboard_etl.extraction import parse
from tokenboard_etl.http import Client
from tokenboard_etl.periods import Window
from tokenboard_etl.providers import openai, openai_accounts, openai_entities, openai_usage, openrouter
from tokenboard_etl.providers.openai_entities import Project
from tokenboard_etl.providers.openrouter import KeyRef
from tokenboard_etl.providers.wire import Fetch, Request

SPECIFICATIONS = Path(__file__).parents[3] / "shared" / "contracts"
PRISM = Path(__file__).parent / "node_modules" / ".bin" / "prism"
OPENAI = "openai-admin.mock.openapi.yaml"
OPENROUTER = "openrouter-admin.openapi.yaml"

DAY = date(2024, 11, 1)
"""The day of OpenAI's samples."""
WINDOW = Window.of_days(DAY, DAY)

pytestmark = pytest.mark.prism

T = TypeVar("T")


@contextmanager
def prism(specification: str) -> Iterator[str]:
    """Prism on a free port, until the block ends; yields its address."""
    path = SPECIFICATIONS / specification
    if not PRISM.exists():
        pytest.skip("Prism is not installed: npm ci --ignore-scripts in tests/prism")
    if not path.exists():
        pytest.skip(f"the specification {specification} is not at hand")
    port = _free_port()
    command = [str(PRISM), "mock", "-h", "127.0.0.1", "-p", str(port), str(path)]
    try:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except OSError as error:
        pytest.skip(f"Prism cannot be started: {error}")
    try:
        _wait_until_it_listens(process, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int) -> None:
    """A refused connection returns at once, so the attempts are spaced by waiting for the process to end."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            try:
                status = process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
            pytest.skip(f"Prism ended with status {status} (is node at hand?)")
        else:
            return
    pytest.fail("Prism did not listen within 60 seconds")


@pytest.fixture(scope="module")
def openai_url() -> Iterator[str]:
    with prism(OPENAI) as url:
        yield url


@pytest.fixture(scope="module")
def openrouter_url() -> Iterator[str]:
    with prism(OPENROUTER) as url:
        yield url


class Answers(list[tuple[Request, Any]]):
    """Every request sent and the parsed body that came back."""


def ask(url: str, call: Callable[[Fetch], Awaitable[T]]) -> tuple[T, Answers]:
    """Runs a client call over real HTTP; returns its result and what was exchanged."""
    answers = Answers()

    async def run() -> T:
        async with Client(url, SecretStr("sk-admin-made-up")) as client:

            async def fetch(request: Request) -> Any:
                body = parse(request, (await client.send(request)).body)
                answers.append((request, body))
                return body

            return await call(fetch)

    return asyncio.run(run()), answers


# --- OpenAI


def test_openai_costs_reads_the_official_sample_exactly(openai_url: str) -> None:
    days, answers = ask(openai_url, lambda fetch: openai.costs(fetch, WINDOW))
    assert days == {DAY}
    ((request, body),) = answers
    assert [value for name, value in request.params if name == "group_by"] == ["project_id", "line_item", "api_key_id"]
    amount = body["data"][0]["results"][0]["amount"]
    assert (amount["value"], type(amount["value"]), amount["currency"]) == (Decimal("0.06"), Decimal, "usd")


def test_openai_costs_total_reads_the_official_sample_ungrouped(openai_url: str) -> None:
    days, answers = ask(openai_url, lambda fetch: openai.costs_total(fetch, WINDOW))
    assert days == {DAY}
    ((request, _),) = answers
    assert "group_by" not in dict(request.params)


def test_openai_completions_reads_the_official_sample(openai_url: str) -> None:
    days, answers = ask(openai_url, lambda fetch: openai_usage.completions(fetch, WINDOW))
    assert days == {DAY}
    ((_, body),) = answers
    (row,) = body["data"][0]["results"]
    assert (row["input_tokens"], row["output_tokens"], row["num_model_requests"]) == (1000, 500, 5)


def test_openai_projects_reads_the_official_sample(openai_url: str) -> None:
    _, answers = ask(openai_url, openai_entities.projects)
    ((_, body),) = answers
    assert [project["id"] for project in body["data"]] == ["proj_abc"]


@pytest.mark.parametrize("endpoint", sorted(openai_usage.OTHER_USAGE.keys() - {"decisions"}))
def test_openai_other_usage_reads_the_official_sample(openai_url: str, endpoint: str) -> None:
    days, answers = ask(openai_url, lambda fetch: openai_usage.other_usage(fetch, endpoint, WINDOW))
    assert days == {DAY}
    assert [len(body["data"][0]["results"]) for _, body in answers] == [1]


def test_openai_without_a_usage_endpoint_says_so_with_404(openai_url: str) -> None:
    with pytest.raises(ProviderRejected) as raised:
        ask(openai_url, lambda fetch: openai_usage.other_usage(fetch, "decisions", WINDOW))
    assert raised.value.status == 404


@pytest.mark.parametrize("read", [openai_entities.service_accounts, openai_entities.project_keys])
def test_openai_lists_of_a_project_read_the_official_samples(
    openai_url: str, read: Callable[[Fetch, Sequence[Project]], Awaitable[None]]
) -> None:
    _, answers = ask(openai_url, lambda fetch: read(fetch, [Project(id="proj_abc", created_at=1)]))
    ((_, body),) = answers
    assert len(body["data"]) == 1


def test_openai_spend_limit_and_admin_keys_read_the_official_samples(openai_url: str) -> None:
    limit, _ = ask(openai_url, lambda fetch: openai_accounts.spend_limit(fetch, "proj_abc"))
    assert limit
    assert (limit.threshold_amount, limit.currency, limit.interval) == (10_000, "USD", "month")
    _, answers = ask(openai_url, openai_accounts.admin_keys)
    assert len(answers) == 1


def test_a_nightly_run_bills_the_sample_amount_exactly(openai_url: str, openrouter_url: str, tmp_path: Path) -> None:
    ended = _nightly(tmp_path, openai_url, openrouter_url, OPENAI_ADMIN_KEY="sk-admin-made-up")
    assert (ended.returncode, ended.stderr) == (0, "")
    with closing(duckdb.connect(tmp_path / "home/published/tokenboard.duckdb", read_only=True)) as published:
        charges = published.execute(
            "SELECT usage_date, tenant_id, provider, source, cost_usd, typeof(cost_usd) FROM billing.charges"
        ).fetchall()
    assert charges == [(DAY, "unallocated", "openai", "provider", Decimal("0.06"), "DECIMAL(38,18)")]


# --- OpenRouter


def test_openrouter_keys_reads_the_official_samples_of_workspaces_and_keys(openrouter_url: str) -> None:
    keys, answers = ask(openrouter_url, openrouter.keys)
    assert keys == [KeyRef("f01d52606dc8f0a8303a7b5cc3fa07109c2e346cec7c0a16b40de462992ce943", "My Production Key")]
    assert [request.path for request, _ in answers] == ["/workspaces", "/keys"]
    assert dict(answers[1][0].params)["workspace_id"] == answers[0][1]["data"][0]["id"]


def test_openrouter_credits_reads_the_official_sample_exactly(openrouter_url: str) -> None:
    _, answers = ask(openrouter_url, openrouter.credits)
    ((_, body),) = answers
    assert body["data"] == {"total_credits": Decimal("100.5"), "total_usage": Decimal("25.75")}


def test_openrouter_activity_reads_the_official_sample(openrouter_url: str) -> None:
    day, now = date(2025, 8, 24), datetime(2025, 8, 25, 2, tzinfo=UTC)
    days, answers = ask(openrouter_url, lambda fetch: openrouter.activity(fetch, Window.of_days(day, day), now))
    assert days == {day}
    ((_, body),) = answers
    assert [(row["date"], row["usage"]) for row in body["data"]] == [(str(day), Decimal("0.015"))]


SAMPLE_DAY = date(2025, 1, 1)
"""The day of OpenRouter's analytics sample."""


def test_openrouter_analytics_total_reads_the_official_sample(openrouter_url: str) -> None:
    window = Window.of_days(SAMPLE_DAY, SAMPLE_DAY)
    days, answers = ask(openrouter_url, lambda fetch: openrouter.analytics_total(fetch, window))
    assert days == {SAMPLE_DAY}
    ((request, body),) = answers
    assert (request.method, request.path) == ("POST", "/analytics/query")
    assert body["data"]["data"][0]["date__day"].startswith(str(SAMPLE_DAY))


def test_openrouter_analytics_reads_the_official_sample_and_asks_key_by_key_where_rows_name_none(
    openrouter_url: str,
) -> None:
    """The sample's row names no key, so the group of two is asked for again, each key alone."""
    window, keys = Window.of_days(SAMPLE_DAY, SAMPLE_DAY), [KeyRef("a" * 64, "one"), KeyRef("b" * 64, "two")]
    days, answers = ask(openrouter_url, lambda fetch: openrouter.analytics(fetch, window, keys))
    assert days == {SAMPLE_DAY}
    one, two = ("one", "a" * 64), ("two", "b" * 64)
    asked = sorted(sorted(request.context["key_names"].items()) for request, _ in answers)
    assert asked == [[], [one], [one, two], [two]]  # in any order: they are asked side by side


def test_openrouter_refuses_the_key_of_the_official_sample_because_it_is_an_inference_key(openrouter_url: str) -> None:
    with pytest.raises(KeyRefused, match="inference key, not a management key"):
        ask(openrouter_url, openrouter.check_key)


def test_a_nightly_run_with_an_inference_key_ends_as_wrong_configuration(
    openai_url: str, openrouter_url: str, tmp_path: Path
) -> None:
    ended = _nightly(tmp_path, openai_url, openrouter_url, OPENROUTER_MANAGEMENT_KEY="sk-or-v1-made-up")
    assert ended.returncode == 2
    assert ended.stderr.startswith("tokenboard: openrouter refused the key for GET /key: ")
    assert len(ended.stderr.splitlines()) == 1
    assert "OPENROUTER_MANAGEMENT_KEY" in ended.stderr
    assert not (tmp_path / "home/published").exists()


def _nightly(folder: Path, openai_url: str, openrouter_url: str, **key: str) -> subprocess.CompletedProcess[str]:
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TOKENBOARD_HOME": str(folder / "home"),
        "TOKENBOARD_NOW": "2024-11-06T02:00:00Z",
        "OPENAI_BASE_URL": openai_url,
        "OPENROUTER_BASE_URL": openrouter_url,
        **key,
    }
    return tokenboard("nightly", "--from", str(DAY), "--to", str(DAY), env=env, cwd=folder)
