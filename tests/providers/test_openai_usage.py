"""OpenAI's usage beside completions: ten endpoints, each with its own rows and dimensions; and finer buckets."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from tokenboard_etl.errors import LoadRefused, MalformedAnswer, ProviderRejected
from tokenboard_etl.periods import Window
from tokenboard_etl.providers import openai_buckets, openai_usage
from tokenboard_etl.providers.openai_usage import OTHER_USAGE
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.providers.wire import Request

JUNE = Window(date(2026, 6, 1), date(2026, 6, 4))
BY_MODEL = {"project_id", "user_id", "api_key_id", "model"}

# contracts.md, section 4: the object's name, the measures that must be there, the dimensions.
ENDPOINTS: dict[str, tuple[str, set[str], set[str]]] = {
    "embeddings": ("embeddings", {"input_tokens", "num_model_requests"}, BY_MODEL),
    "moderations": ("moderations", {"input_tokens", "num_model_requests"}, BY_MODEL),
    "images": ("images", {"images", "num_model_requests"}, BY_MODEL | {"size", "source"}),
    "audio_speeches": ("audio_speeches", {"characters", "num_model_requests"}, BY_MODEL),
    "audio_transcriptions": ("audio_transcriptions", {"seconds", "num_model_requests"}, BY_MODEL),
    "vector_stores": ("vector_stores", {"usage_bytes"}, {"project_id"}),
    "code_interpreter_sessions": ("code_interpreter_sessions", {"num_sessions"}, {"project_id"}),
    "file_search_calls": (
        "file_searches",
        {"num_requests"},
        {"project_id", "user_id", "api_key_id", "vector_store_id"},
    ),
    "web_search_calls": ("web_searches", {"num_requests", "num_model_requests"}, BY_MODEL | {"context_level"}),
    "decisions": (
        "decisions",
        {"input_tokens", "output_tokens", "num_model_requests"},
        BY_MODEL | {"batch", "service_tier"},
    ),
}


def page(*rows: dict[str, Any], day: date = JUNE.start) -> dict[str, Any]:
    start = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
    bucket = {"object": "bucket", "start_time": start, "end_time": start + 86_400, "results": list(rows)}
    return {"object": "page", "data": [bucket], "has_more": False, "next_page": None}


def row_of(endpoint: str) -> dict[str, Any]:
    name, measures, _ = ENDPOINTS[endpoint]
    return {"object": f"organization.usage.{name}.result", **dict.fromkeys(measures, 2)}


def test_all_endpoints_of_the_contract_are_read() -> None:
    assert set(OTHER_USAGE) == set(ENDPOINTS)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_days_are_asked_for_by_every_dimension_in_pages_of_31(pages: Any, endpoint: str) -> None:
    server = pages(page(row_of(endpoint)))
    assert asyncio.run(openai_usage.other_usage(server.fetch, endpoint, JUNE)) == {JUNE.start}
    (request,) = server.asked
    assert request.path == f"/organization/usage/{endpoint}"
    assert {value for name, value in request.params if name == "group_by"} == ENDPOINTS[endpoint][2]
    assert [value for name, value in request.params if name in ("bucket_width", "limit")] == ["1d", "31"]
    assert not request.missing_is_outage, "an organization without the endpoint is no outage"


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_measure_that_is_missing_or_no_count_stops_the_walk(pages: Any, endpoint: str) -> None:
    for measure in ENDPOINTS[endpoint][1]:
        whole = row_of(endpoint)
        without = {name: value for name, value in whole.items() if name != measure}
        for wrong in (without, {**whole, measure: None}, {**whole, measure: "2"}, {**whole, measure: True}):
            with pytest.raises(MalformedAnswer, match=r"results\[0\]"):
                asyncio.run(openai_usage.other_usage(pages(page(wrong)).fetch, endpoint, JUNE))


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_a_row_of_another_endpoint_is_not_read_as_one_of_this(pages: Any, endpoint: str) -> None:
    stray = {**row_of(endpoint), "object": "organization.usage.completions.result"}
    with pytest.raises(MalformedAnswer, match=r"results\[0\]\.object"):
        asyncio.run(openai_usage.other_usage(pages(page(stray)).fetch, endpoint, JUNE))


def test_sessions_may_go_by_their_older_name(pages: Any) -> None:
    row = {"object": "organization.usage.code_interpreter_sessions.result", "sessions": 3}
    assert asyncio.run(openai_usage.other_usage(pages(page(row)).fetch, "code_interpreter_sessions", JUNE))


def lookback(first: str) -> ProviderRejected:
    words = f"Usage and cost data are available for the past year. Earliest supported start date: {first} (UTC)."
    return ProviderRejected("openai", "GET /x", f"HTTP 400: {words}", status=400, param="start_time")


def test_what_the_provider_no_longer_has_stays_missing(pages: Any, caplog: pytest.LogCaptureFixture) -> None:
    server = pages(lookback("2026-06-02"), page(row_of("images"), day=date(2026, 6, 3)))
    assert asyncio.run(openai_usage.other_usage(server.fetch, "images", JUNE)) == {date(2026, 6, 3)}
    assert dict(server.asked[1].params)["start_time"] == str(Window(date(2026, 6, 2), JUNE.end).start_epoch)
    assert "nothing before 2026-06-02" in caplog.text
    assert asyncio.run(openai_usage.other_usage(pages(lookback("2026-07-01")).fetch, "images", JUNE)) == frozenset()


@pytest.mark.parametrize(
    "refusal",
    [lookback("2026-06-01"), lookback("2026-05-01"), ProviderRejected("openai", "GET /x", "HTTP 400: no", status=400)],
)
def test_a_refusal_that_the_window_does_not_explain_is_passed_on(pages: Any, refusal: ProviderRejected) -> None:
    server = pages(refusal)
    with pytest.raises(ProviderRejected):
        asyncio.run(openai_usage.other_usage(server.fetch, "images", JUNE))
    assert len(server.asked) == 1


def test_the_sandbox_s_own_refusal_is_understood(live: Any, sandbox: RunningSandbox) -> None:
    earliest = sandbox.sandbox.today() - timedelta(days=365)
    window = Window(earliest - timedelta(days=3), earliest + timedelta(days=2))

    async def read() -> frozenset[date]:
        async with live("openai") as server:
            return await openai_usage.completions(server.fetch, window)

    assert asyncio.run(read()) == {earliest, earliest + timedelta(days=1)}


@pytest.mark.parametrize(("width", "most"), [(openai_buckets.HOUR, 168), (openai_buckets.MINUTE, 1_440)])
def test_finer_buckets_of_a_day_add_up_to_it(
    live: Any, sandbox: RunningSandbox, width: openai_buckets.Width, most: int
) -> None:
    day = Window(date(2026, 6, 2), date(2026, 6, 3))

    async def read() -> tuple[frozenset[int], list[Request], Counter[str]]:
        async with live("openai") as server:
            report = openai_usage.completions_report(width)
            starts = await openai_buckets.walk(server.fetch, report, day.start_epoch, day.end_epoch)
            tokens: Counter[str] = Counter()
            for answer in server.answers:
                for bucket in answer["data"]:
                    for row in bucket["results"]:
                        tokens[row["api_key_id"]] += row["input_tokens"] + row["output_tokens"]
            return starts, server.asked, tokens

    starts, asked, tokens = asyncio.run(read())
    assert starts == frozenset(range(day.start_epoch, day.end_epoch, width.seconds))
    assert dict(asked[0].params)["limit"] == str(most)
    true: Counter[str] = Counter()
    org = sandbox.world.organizations[0].id
    for row in sandbox.world.openai_completions(org, day.start, sandbox.sandbox.now()):
        true[row.api_key_id] += row.input_tokens + row.output_tokens
    assert tokens == true


def test_a_minute_that_comes_twice_is_named_to_the_minute(pages: Any) -> None:
    start = JUNE.start_epoch + 60
    bucket = {"object": "bucket", "start_time": start, "end_time": start + 60, "results": []}
    body = {"object": "page", "data": [bucket, bucket], "has_more": False, "next_page": None}
    report = openai_usage.completions_report(openai_buckets.MINUTE)
    with pytest.raises(LoadRefused, match="2026-06-01T00:01Z came twice"):
        asyncio.run(openai_buckets.walk(pages(body).fetch, report, JUNE.start_epoch, JUNE.start_epoch + 600))
