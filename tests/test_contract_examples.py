"""Every example and every documented error of the contract, served over HTTP and read by our own clients.

The examples are taken out of the contract's text when the tests run; one that no row of the table reads, or a
documented error without a row, fails.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tokenboard_etl.errors import (
    KeyRefused,
    MalformedAnswer,
    ProviderError,
    ProviderRejected,
    ProviderUnavailable,
)
from tokenboard_etl.extraction import parse
from tokenboard_etl.http import Client
from tokenboard_etl.periods import Window
from tokenboard_etl.providers import (
    openai,
    openai_accounts,
    openai_buckets,
    openai_changes,
    openai_entities,
    openai_usage,
    openrouter,
    openrouter_changes,
)
from tokenboard_etl.providers.wire import Fetch, Request

CONTRACT = Path(__file__).parents[2] / "shared" / "contracts" / "contracts.md"
NOW = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
DAYS = Window(date(2026, 10, 28), date(2026, 10, 30))
KEYS = {"openai": "sk-admin-EXAMPLE", "openrouter": "sk-or-v1-EXAMPLE"}

pytestmark = pytest.mark.skipif(not CONTRACT.exists(), reason="the contract document is not beside this checkout")


# --- the contract as text -------------------------------------------------------------------------------------------


def sections() -> dict[str, str]:
    """The text of each section by its number ("2", "5.1")."""
    parts = re.split(r"(?m)^#+ (\d+(?:\.\d+)?)\. ", re.sub(r"(?m)^(## \d+\.\d+) ", r"\1. ", CONTRACT.read_text()))
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def examples() -> dict[str, str]:
    """Every block of JSON: "5.1" for a section's first, "13#2" for its second."""
    found = {}
    for number, text in sections().items():
        for place, block in enumerate(re.findall(r"(?ms)^```json\n(.*?)^```", text), start=1):
            found[number if place == 1 else f"{number}#{place}"] = block
    return found


def first_cells(section: str, heading: str) -> list[str]:
    """The first column of the table whose header begins with a word."""
    text = sections()[section]
    table = re.search(rf"(?m)^\| {heading} .*\n\|[-| ]+\n((?:\|.*\n)+)", text)
    assert table, f"section {section} has no table that begins with {heading}"
    return [row.split("|")[1].strip() for row in table[1].splitlines()]


def inline(section: str, start: str) -> str:
    """A piece of JSON inside a sentence."""
    text = sections()[section]
    return text[text.index(start) : text.index("`", text.index(start))]


# --- a server that says what the contract says ----------------------------------------------------------------------


@contextmanager
def serving(*answers: tuple[int, bytes]) -> Iterator[tuple[str, list[str]]]:
    """Answers with these in turn, the last one for ever; also yields "METHOD path?query" of what was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            asked.append(f"{self.command} {self.path}")
            status, body = answers[min(len(asked), len(answers)) - 1]
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - a name of the base class

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", asked
    finally:
        server.shutdown()
        server.server_close()


async def _at_once(_seconds: float) -> None:
    """Instead of a wait between attempts."""


def read(provider: str, use: Callable[[Fetch], Awaitable[Any]], *answers: tuple[int, str | bytes]) -> Any:
    """What a function of ours makes of these answers."""

    async def run(base_url: str) -> Any:
        async with Client(base_url, SecretStr(KEYS[provider]), sleep=_at_once) as client:

            async def fetch(request: Request) -> Any:
                return parse(request, (await client.send(request)).body)

            return await use(fetch)

    whole = [(status, body.encode() if isinstance(body, str) else body) for status, body in answers]
    with serving(*whole) as (base_url, _):
        return asyncio.run(run(base_url))


# --- the examples ---------------------------------------------------------------------------------------------------


def _costs(body: str) -> None:
    assert read("openai", lambda fetch: openai.costs(fetch, DAYS), (200, body)) == frozenset(DAYS.days())
    data = openai_buckets.BucketPage[openai.CostRow].model_validate(json.loads(body, parse_float=Decimal)).data
    assert [row.amount.value for bucket in data for row in bucket.results] == [
        Decimal("1.83725"),
        Decimal(0),
        Decimal("0.07"),
    ]


def _completions(body: str) -> None:
    """The example names a next page; an empty one follows."""
    last = json.dumps({"object": "page", "has_more": False, "next_page": None, "data": []})
    days = read("openai", lambda fetch: openai_usage.completions(fetch, DAYS), (200, body), (200, last))
    assert days == {DAYS.start}
    (row,) = openai_buckets.BucketPage[openai_usage.CompletionsRow].model_validate(json.loads(body)).data[0].results
    assert row.input_uncached_tokens is not None
    assert row.input_tokens == row.input_uncached_tokens + (row.input_cached_tokens or 0) + (
        row.input_cache_write_tokens or 0
    )


def _project(body: str) -> None:
    page = f'{{"object":"list","data":[{body}],"first_id":null,"last_id":"proj_7Qk2Example","has_more":false}}'
    read("openai", openai_entities.projects, (200, page))
    assert openai_entities.Project.model_validate(json.loads(body)).name == "team-atlas"


def _service_account(body: str) -> None:
    made = read("openai", lambda fetch: openai_changes.create_service_account(fetch, "proj_1", "x"), (200, body))
    assert made.id == "svc_acct_Ex1"
    assert made.api_key.value.get_secret_value() == "sk-svcacct-EXAMPLE"
    assert "sk-svcacct-EXAMPLE" not in f"{made} {made!r}"
    alone = json.loads(body) | {"api_key": None, "role": "none"}
    bare = read(
        "openai",
        lambda fetch: openai_changes.create_service_account(fetch, "proj_1", "x"),
        (200, json.dumps(alone)),
    )
    assert bare.api_key is None


def _spend_limit(body: str) -> None:
    limit = read("openai", lambda fetch: openai_accounts.spend_limit(fetch, "proj_1"), (200, body))
    assert (limit.threshold_amount, limit.currency, limit.interval) == (50_000, "USD", "month")


def _credit_grants(body: str) -> None:
    grants = read("openai", openai_accounts.credit_grants, (200, body))
    assert (grants.total_granted, grants.total_used) == (Decimal(120), Decimal("44.180312"))
    assert grants.total_available == grants.total_granted - grants.total_used
    without = {name: value for name, value in json.loads(body).items() if name != "total_paid_available"}
    assert read("openai", openai_accounts.credit_grants, (200, json.dumps(without))).grants == grants.grants


def _new_key(body: str) -> None:
    made = read("openrouter", lambda fetch: openrouter_changes.create_key(fetch, "x", None, None), (201, body))
    assert made.key.get_secret_value() == "sk-or-v1-EXAMPLE"
    assert "sk-or-v1-EXAMPLE" not in f"{made} {made!r}"
    assert made.data.limit - made.data.usage_monthly == made.data.limit_remaining == Decimal("153.4182")
    key = json.dumps(json.loads(body)["data"])
    workspaces = '{"data":[{"id":"w","name":"Default"}],"total_count":1}'
    (listed,) = read("openrouter", openrouter.keys, (200, workspaces), (200, f'{{"data":[{key}]}}'))
    assert (listed.hash, listed.name) == (made.data.hash, "team-atlas")


def _activity(body: str) -> None:
    window = Window(date(2026, 11, 18), date(2026, 11, 19))
    use = partial(openrouter.activity, window=window, now=NOW)
    assert read("openrouter", use, (200, body)) == {date(2026, 11, 18)}
    live = body.replace('"2026-11-18"', '"2026-11-18 00:00:00"')
    assert live != body
    assert read("openrouter", use, (200, live)) == {date(2026, 11, 18)}


def _analytics_question(body: str) -> None:
    """A request: ours has the same parts, of the same types."""
    asked: list[Request] = []

    async def fetch(request: Request) -> Any:
        asked.append(request)
        return {"data": {"data": [], "metadata": {"truncated": False}}}

    window = Window(date(2026, 10, 1), date(2026, 11, 1))
    asyncio.run(openrouter.analytics(fetch, window, [openrouter.KeyRef("h", "n")]))
    ours, example = dict(asked[-1].body or {}), json.loads(body)
    assert ours.pop("filters") == [{"field": "api_key_id", "operator": "in", "value": ["h"]}]
    assert ours == example


def _analytics_answer(body: str) -> None:
    window = Window(date(2026, 10, 4), date(2026, 10, 5))
    keys = [openrouter.KeyRef("9f2c", "team-atlas"), openrouter.KeyRef("aaaa", "other")]
    read("openrouter", lambda fetch: openrouter.analytics(fetch, window, keys), (200, body))
    (row,) = openrouter.AnalyticsAnswer.model_validate(json.loads(body, parse_float=Decimal)).data.data
    assert (row.credits_usage, row.byok_usage, row.request_count) == (Decimal("1.932"), None, 214)


def _openai_error(body: str) -> None:
    with pytest.raises(ProviderRejected, match="Limit must be less than or equal to 180"):
        read("openai", lambda fetch: openai.costs(fetch, DAYS), (400, body))


def _openrouter_error(body: str) -> None:
    with pytest.raises(KeyRefused, match="Only management keys can perform this operation"):
        read("openrouter", openrouter.keys, (json.loads(body)["error"]["code"], body))


READERS: dict[str, Callable[[str], None]] = {
    "1": _openai_error,
    "2": _costs,
    "3": _completions,
    "5": _project,
    "5.1": _service_account,
    "5.5": _spend_limit,
    "6": _credit_grants,
    "9": _openrouter_error,
    "10": _new_key,
    "12": _activity,
    "13": _analytics_question,
    "13#2": _analytics_answer,
}


@pytest.mark.parametrize("place", READERS)
def test_an_example_of_the_contract_is_read(place: str) -> None:
    READERS[place](examples()[place])


def test_every_example_of_the_contract_has_a_reader() -> None:
    assert sorted(examples()) == sorted(READERS)
    assert CONTRACT.read_text().count("```json\n") == len(READERS)


def test_every_example_of_the_contract_is_json() -> None:
    for place, body in examples().items():
        assert isinstance(json.loads(body), dict), place


def test_the_inline_shape_of_credits_is_read() -> None:
    shape = inline("11", '{"data":{"total_credits"')
    read("openrouter", openrouter.credits, (200, shape.replace("number", "12.5")))


def test_the_inline_shape_of_the_calling_key_is_read() -> None:
    text = sections()["10"]
    names = ("is_free_tier", "is_management_key", "is_provisioning_key")
    assert all(f"`{name}`" in text for name in names)
    key = json.loads(examples()["10"])["data"]
    shown = {name: value for name, value in key.items() if name not in ("hash", "name", "disabled")}
    read("openrouter", openrouter.check_key, (200, json.dumps({"data": shown | dict.fromkeys(names, True)})))
    with pytest.raises(KeyRefused):
        read("openrouter", openrouter.check_key, (200, json.dumps({"data": shown | dict.fromkeys(names, False)})))


def test_the_inline_answer_to_a_secret_key_asking_for_credit_is_a_refused_key() -> None:
    body = inline("6", '{"error":{"message":"Your request to GET')
    for status in (401, 403):
        with pytest.raises(KeyRefused, match="must be made with a session key"):
            read("openai", openai_accounts.credit_grants, (status, body))


def test_the_older_inline_404_body_is_read() -> None:
    body = inline("1", '{"code":404')
    with pytest.raises(ProviderRejected, match=r"The project . was not found"):
        read("openai", lambda fetch: openai_accounts.spend_limit(fetch, "proj_1"), (404, body))


def _with_one_field_less(value: Any) -> Iterator[Any]:
    """The same object without each of its fields in turn, in both orders, and so for the objects inside it."""
    if isinstance(value, dict):
        for name, inner in value.items():
            rest = {key: each for key, each in value.items() if key != name}
            yield rest
            yield dict(reversed(rest.items()))
            for less in _with_one_field_less(inner):
                yield value | {name: less}


@pytest.mark.parametrize(
    ("place", "use"),
    [
        ("5.1", lambda fetch: openai_changes.create_service_account(fetch, "proj_1", "x")),
        ("10", lambda fetch: openrouter_changes.create_key(fetch, "x", None, None)),
    ],
    ids=["openai", "openrouter"],
)
def test_a_new_key_in_an_answer_that_cannot_be_read_is_not_shown(
    place: str, use: Callable[[Fetch], Awaitable[Any]]
) -> None:
    """Whatever field is missing: the message, which goes to terminals and logs, never holds the key."""

    async def outcome(wrong: Any) -> str:
        async def fetch(_: Request) -> Any:
            return wrong

        try:
            return repr(await use(fetch))
        except MalformedAnswer as error:
            return str(error)

    outcomes = [asyncio.run(outcome(wrong)) for wrong in _with_one_field_less(json.loads(examples()[place]))]
    assert len(outcomes) > 20
    assert [text for text in outcomes if "-EXAMPLE" in text] == []


# --- the documented errors ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Documented:
    """A row of a table of errors: what is answered and what that must become. `advice` stands in the message."""

    row: str
    status: int
    message: str
    error: type[ProviderError] | type[KeyRefused]
    advice: str
    param: str | None = None
    code: str | None = "invalid_request_error"

    def body(self, provider: str) -> str:
        if provider == "openrouter":
            return json.dumps({"error": {"code": self.status, "message": self.message}})
        error = {"message": self.message, "type": "invalid_request_error", "param": self.param, "code": self.code}
        return json.dumps({"error": error})


LATER = "run the same command again later"
ADMIN = "OPENAI_ADMIN_KEY"
MANAGEMENT = "OPENROUTER_MANAGEMENT_KEY"
CHECK = "check the"
EARLIER = "ask for later days with --from"
CREDITS = "add credits"

OPENAI_STATUS = [
    Documented("400", 400, "The project is archived and cannot be used or updated.", ProviderRejected, CHECK),
    Documented("401", 401, "Incorrect API key provided.", KeyRefused, ADMIN, code="invalid_api_key"),
    Documented("403", 403, "You have insufficient permissions for this operation.", KeyRefused, ADMIN),
    Documented("404", 404, "The project proj_1 was not found", ProviderRejected, CHECK),
    Documented("429", 429, "Rate limit reached.", ProviderUnavailable, LATER),
    Documented("5xx", 500, "The server had an error.", ProviderUnavailable, LATER),
    Documented("5xx", 502, "", ProviderUnavailable, LATER),
    Documented("5xx", 503, "Overloaded.", ProviderUnavailable, LATER),
]
_FLOOR = "group_by=api_key_id is not available for this time range. Try a start_time on or after 1764979200."
COSTS_400 = [
    Documented("`limit` > 180", 400, "Limit must be less than or equal to 180.", ProviderRejected, CHECK),
    Documented("unparsable `start_time`", 400, "Invalid type.", ProviderRejected, CHECK, "start_time", "invalid_type"),
    Documented("missing `start_time`", 400, "Missing required parameter.", ProviderRejected, CHECK),
    Documented("`group_by=api_key_id` too far back", 400, _FLOOR, ProviderRejected, "on or after", "start_time"),
    Documented(
        "older than the reporting window",
        400,
        "Usage and cost data are available for the past year. Earliest supported start date: 2025-10-08 (UTC).",
        ProviderRejected,
        EARLIER,
        code="reporting_lookback_exceeded",
    ),
    Documented(
        "`user_id` with `project_id` grouping/`project_ids`",
        400,
        "unsupported combination of user_id and project_id",
        ProviderRejected,
        CHECK,
    ),
    Documented("unknown `group_by`", 400, "Supported values are: 'project_id'", ProviderRejected, CHECK),
]
OPENROUTER_STATUS = [
    Documented("400", 400, "Invalid request parameters", ProviderRejected, CHECK),
    Documented("401", 401, "Missing Authentication header", KeyRefused, MANAGEMENT),
    Documented("402", 402, "Insufficient credits", ProviderRejected, CREDITS),
    Documented("403", 403, "Only management keys can perform this operation", KeyRefused, MANAGEMENT),
    Documented(
        "403",
        403,
        "Workspace monthly budget of $500.00 exceeded. Contact your org admin.",
        ProviderRejected,
        "raise the limit",
    ),
    Documented(
        "403",
        403,
        "Key limit exceeded (monthly limit). Manage it using https://openrouter.ai/settings/keys",
        ProviderRejected,
        "raise the limit",
    ),
    Documented("404", 404, "API key not found", ProviderRejected, CHECK),
    Documented("408", 408, "Query timed out", ProviderUnavailable, LATER),
    Documented("429", 429, "Rate limit exceeded", ProviderUnavailable, LATER),
    *(
        Documented("500/502/503/524/529", status, "Provider trouble", ProviderUnavailable, LATER)
        for status in (500, 502, 503, 524, 529)
    ),
]
CREDITS_STATUS = [
    Documented("401", 401, "User not found.", KeyRefused, MANAGEMENT),
    Documented("403", 403, "Only management keys can perform this operation", KeyRefused, MANAGEMENT),
    Documented("500", 500, "Internal Server Error", ProviderUnavailable, LATER),
]


def judged(provider: str, use: Callable[[Fetch], Awaitable[Any]], documented: Documented) -> None:
    """The answer becomes the documented error, whose one line names provider, words and what to do."""
    with pytest.raises(documented.error) as raised:
        read(provider, use, (documented.status, documented.body(provider)))
    assert type(raised.value) is documented.error
    text = str(raised.value)
    assert text.startswith(provider)
    assert f"HTTP {documented.status}" in text
    assert documented.message.rstrip(".") in text
    assert documented.advice in text
    assert "\n" not in text
    assert KEYS[provider] not in text
    assert raised.value.retryable is (documented.error is ProviderUnavailable)


def label(documented: Documented) -> str:
    return f"{documented.row}-{documented.status}"


@pytest.mark.parametrize("documented", OPENAI_STATUS, ids=label)
def test_a_status_openai_documents_is_the_right_error(documented: Documented) -> None:
    judged("openai", lambda fetch: openai_accounts.spend_limit(fetch, "proj_1"), documented)


@pytest.mark.parametrize("documented", COSTS_400, ids=label)
def test_a_refusal_of_costs_is_the_right_error(documented: Documented) -> None:
    judged("openai", lambda fetch: openai.costs(fetch, Window(date(2025, 12, 6), date(2025, 12, 8))), documented)


@pytest.mark.parametrize("documented", OPENROUTER_STATUS, ids=label)
def test_a_status_openrouter_documents_is_the_right_error(documented: Documented) -> None:
    judged("openrouter", openrouter.keys, documented)


@pytest.mark.parametrize("documented", CREDITS_STATUS, ids=label)
def test_a_status_of_credits_is_the_right_error(documented: Documented) -> None:
    judged("openrouter", openrouter.credits, documented)


def test_the_outage_of_costs_that_answers_404_is_no_missing_cost() -> None:
    outage = replace(OPENAI_STATUS[3], error=ProviderUnavailable, advice=LATER)
    judged("openai", lambda fetch: openai.costs(fetch, DAYS), outage)


def test_a_date_activity_does_not_know_is_the_right_error() -> None:
    words = "Date must be within the last 30 (completed) UTC days"
    assert f"`{words}`" in sections()["12"]
    window = Window(date(2026, 11, 1), date(2026, 11, 3))
    documented = Documented("400", 400, words, ProviderRejected, EARLIER)
    judged("openrouter", lambda fetch: openrouter.activity(fetch, window, NOW), documented)


def test_every_documented_error_has_a_row() -> None:
    assert first_cells("1", "status") == list(dict.fromkeys(each.row for each in OPENAI_STATUS))
    assert first_cells("2", "cause") == list(dict.fromkeys(each.row for each in COSTS_400))
    assert first_cells("9", "status") == list(dict.fromkeys(each.row for each in OPENROUTER_STATUS))
    statuses = re.search(r"may go negative\. ([\d/]+)\.", sections()["11"])
    assert statuses
    assert statuses[1].split("/") == [each.row for each in CREDITS_STATUS]


@pytest.mark.parametrize("words", [each.message for each in (*COSTS_400[:1], *COSTS_400[3:5], *OPENROUTER_STATUS[3:6])])
def test_the_words_of_an_error_are_the_contracts(words: str) -> None:
    text = CONTRACT.read_text()
    assert words in text
