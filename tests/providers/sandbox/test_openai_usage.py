"""Usage: identities of tokens, buckets that add up at every width, limits per width."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from typing import Any

import httpx
import pytest

from tokenboard_etl.providers.sandbox.server import RunningSandbox

PATH = "/organization/usage/completions"
EVERYTHING = ["project_id", "user_id", "api_key_id", "model", "batch", "service_tier"]


def epoch(day: date) -> int:
    return (day - date(1970, 1, 1)) // timedelta(seconds=1)


def buckets(openai: httpx.Client, path: str = PATH, **params: Any) -> list[dict[str, Any]]:
    answer = openai.get(path, params=params)
    assert answer.status_code == 200, answer.text
    data: list[dict[str, Any]] = answer.json()["data"]
    return data


def measures(found: list[dict[str, Any]]) -> Counter[tuple[Any, ...]]:
    sums: Counter[tuple[Any, ...]] = Counter()
    for bucket in found:
        for row in bucket["results"]:
            key = tuple(row[name] for name in EVERYTHING)
            sums.update({(*key, name): value for name, value in row.items() if name.endswith(("tokens", "requests"))})
    return +sums


def test_the_kinds_of_tokens_add_up(openai: httpx.Client, yesterday: date) -> None:
    rows = buckets(openai, start_time=epoch(yesterday), limit=1, group_by=EVERYTHING)[0]["results"]
    assert len(rows) > 80
    for row in rows:
        parts = row["input_uncached_tokens"] + row["input_cached_tokens"] + row["input_cache_write_tokens"]
        assert row["input_tokens"] == parts
        uncached = row["input_text_tokens"] + row["input_audio_tokens"] + row["input_image_tokens"]
        assert row["input_uncached_tokens"] == uncached
        assert row["input_cached_tokens"] == row["input_cached_text_tokens"] + row["input_cached_audio_tokens"]
        assert row["output_tokens"] == row["output_text_tokens"] + row["output_audio_tokens"]
        assert row["num_model_requests"] > 0
    assert {row["service_tier"] for row in rows} == {"default", "flex", "priority"}
    assert {row["batch"] for row in rows} == {True, False}
    assert any(row["input_audio_tokens"] for row in rows)
    assert any(row["model"].startswith("ft:") for row in rows)


@pytest.mark.parametrize(("width", "limit"), [("1h", 24), ("1m", 1440)])
def test_hours_and_minutes_add_up_to_the_day(openai: httpx.Client, yesterday: date, width: str, limit: int) -> None:
    common = {"start_time": epoch(yesterday), "end_time": epoch(yesterday) + 86_400, "group_by": EVERYTHING}
    whole = buckets(openai, **common, limit=1)
    parts = buckets(openai, **common, bucket_width=width, limit=limit)
    assert len(parts) == limit
    assert measures(parts) == measures(whole)
    assert any(bucket["results"] == [] for bucket in parts) or width == "1h"


def test_an_unaligned_start_clips_the_first_bucket(openai: httpx.Client, yesterday: date) -> None:
    start = epoch(yesterday) + 36_000
    clipped, following = buckets(openai, start_time=start, limit=2, group_by=EVERYTHING)
    assert (clipped["start_time"], clipped["end_time"]) == (start, epoch(yesterday) + 86_400)
    assert following["start_time"] == epoch(yesterday) + 86_400
    hours = buckets(openai, start_time=start, bucket_width="1h", limit=14, group_by=EVERYTHING)
    assert measures(hours) == measures([clipped])


def test_today_ends_at_the_clock(openai: httpx.Client, today: date) -> None:
    hours = buckets(openai, start_time=epoch(today), bucket_width="1h")
    assert len(hours) == 15
    assert hours[-1]["results"]


@pytest.mark.parametrize(("width", "default", "most"), [("1d", 7, 31), ("1h", 24, 168), ("1m", 60, 1440)])
def test_limits_per_width(openai: httpx.Client, today: date, width: str, default: int, most: int) -> None:
    query = {"start_time": epoch(today) - 40 * 86_400, "bucket_width": width}
    assert len(buckets(openai, **query)) == default
    assert len(buckets(openai, **query, limit=most, models="none")) == most
    answer = openai.get(PATH, params={**query, "limit": most + 1})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request_error")


def test_ungrouped_usage_is_one_row_of_nulls(openai: httpx.Client, yesterday: date) -> None:
    (row,) = buckets(openai, start_time=epoch(yesterday), limit=1)[0]["results"]
    assert all(row[name] is None for name in EVERYTHING)


def test_batch_and_model_filters(openai: httpx.Client, yesterday: date) -> None:
    query = {"start_time": epoch(yesterday), "limit": 1, "group_by": ["model", "batch"]}
    assert {row["batch"] for row in buckets(openai, **query, batch="true")[0]["results"]} == {True}
    assert {row["model"] for row in buckets(openai, **query, models="gpt-6-sol")[0]["results"]} == {"gpt-6-sol"}


def test_costs_follow_usage_at_list_price(
    openai: httpx.Client, sandbox: RunningSandbox, org_id: str, today: date
) -> None:
    """Loosely, as live: here the standard output of one model on a settled day, exactly."""
    day = today - timedelta(days=10)
    rows = buckets(openai, start_time=epoch(day), limit=1, group_by=EVERYTHING, models="gpt-5.6-terra")[0]["results"]
    tokens: Counter[str] = Counter()
    for row in rows:
        tokens[row["api_key_id"]] += row["output_tokens"]
    costs = sandbox.world.openai_costs(org_id, day, sandbox.sandbox.now())
    billed = {row.api_key_id: row.quantity for row in costs if row.line_item == "gpt-5.6-terra, output"}
    assert billed == dict(tokens)


@pytest.mark.parametrize(
    ("endpoint", "name", "dimension", "measure"),
    [
        ("images", "images", "size", "images"),
        ("file_search_calls", "file_searches", "vector_store_id", "num_requests"),
        ("web_search_calls", "web_searches", "context_level", "num_requests"),
        ("audio_transcriptions", "audio_transcriptions", "model", "seconds"),
        ("vector_stores", "vector_stores", "project_id", "usage_bytes"),
        ("decisions", "decisions", "model", "output_tokens"),
    ],
)
def test_other_endpoints(
    openai: httpx.Client, yesterday: date, endpoint: str, name: str, dimension: str, measure: str
) -> None:
    path = f"/organization/usage/{endpoint}"
    rows = buckets(openai, path, start_time=epoch(yesterday), limit=1, group_by=dimension)[0]["results"]
    assert rows
    for row in rows:
        assert row["object"] == f"organization.usage.{name}.result"
        assert row[dimension] is not None
        assert row[measure] > 0
    assert openai.get(path, params={"start_time": epoch(yesterday), "group_by": "colour"}).status_code == 400
