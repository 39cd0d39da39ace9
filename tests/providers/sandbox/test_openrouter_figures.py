"""Activity, analytics, key counters and credits are one truth, read in four ways."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tokenboard_etl.providers.sandbox.amounts import exact_sum
from tokenboard_etl.providers.sandbox.router_spend import total_of
from tokenboard_etl.providers.sandbox.server import RunningSandbox

METRICS = ["credits_usage", "byok_usage", "request_count"]


def read(response: httpx.Response) -> Any:
    assert response.status_code == 200, response.text
    return json.loads(response.content, parse_float=Decimal)


def added(rows: Iterable[dict[str, Any]], name: str) -> Decimal:
    return exact_sum(Decimal(row[name] or 0) for row in rows)


def analytics(openrouter: httpx.Client, first: date, last: date, **more: Any) -> dict[str, Any]:
    body = {
        "metrics": METRICS,
        "granularity": "day",
        "limit": 10_000,
        "time_range": {"start": f"{first}T00:00:00Z", "end": f"{last + timedelta(days=1)}T00:00:00Z"},
        **more,
    }
    data: dict[str, Any] = read(openrouter.post("/analytics/query", json=body))["data"]
    return data


def test_a_day_is_equal_in_the_oracle_activity_and_analytics(
    openrouter: httpx.Client, sandbox: RunningSandbox, yesterday: date
) -> None:
    oracle = total_of(sandbox.world.openrouter_spend(yesterday, sandbox.sandbox.now()))
    activity = read(openrouter.get("/activity", params={"date": yesterday.isoformat()}))["data"]
    whole = analytics(openrouter, yesterday, yesterday)["data"]
    split = analytics(openrouter, yesterday, yesterday, dimensions=["api_key_id", "model"])["data"]
    assert oracle.usage_usd > 0 < oracle.byok_usd
    assert (
        added(activity, "usage") == added(whole, "credits_usage") == added(split, "credits_usage") == oracle.usage_usd
    )
    assert added(activity, "byok_usage_inference") == added(whole, "byok_usage") == oracle.byok_usd
    assert sum(row["requests"] for row in activity) == int(whole[0]["request_count"])
    assert {row["date"] for row in activity} == {f"{yesterday} 00:00:00"}


def test_keys_sum_to_credits_except_what_no_key_explains(openrouter: httpx.Client, sandbox: RunningSandbox) -> None:
    keys: list[dict[str, Any]] = []
    for workspace in sandbox.world.account.workspaces:
        for offset in (0, 100):
            params = {"workspace_id": workspace.id, "include_disabled": "true", "offset": offset}
            keys += read(openrouter.get("/keys", params=params))["data"]
    used = read(openrouter.get("/credits"))["data"]["total_usage"]
    keyless = sandbox.world.openrouter.spent(None, date(2024, 1, 1), sandbox.sandbox.now()).usage_usd
    assert added(keys, "usage") + keyless == used
    assert 0 < keyless < used / 20


def test_counters_of_a_key_are_sums_of_days(openrouter: httpx.Client, sandbox: RunningSandbox, today: date) -> None:
    key = sandbox.world.account.keys[0].hash
    shown = read(openrouter.get(f"/keys/{key}"))["data"]
    only = [{"field": "api_key_id", "operator": "eq", "value": key}]
    starts = {
        "usage_daily": today,
        "usage_weekly": today - timedelta(days=today.weekday()),
        "usage_monthly": today.replace(day=1),
    }
    for name, first in starts.items():
        assert added(analytics(openrouter, first, today, filters=only)["data"], "credits_usage") == shown[name]
    days = (date(2024, 1, 1) + timedelta(days=n) for n in range((today - date(2024, 1, 1)).days + 1))
    rows = [r for day in days for r in sandbox.world.openrouter_spend(day, sandbox.sandbox.now()) if r.key_hash == key]
    assert total_of(rows).usage_usd == shown["usage"] > 0


def test_credits_move_by_what_was_spent(openrouter: httpx.Client, sandbox: RunningSandbox, today: date) -> None:
    start, end = datetime(2026, 11, 16, tzinfo=UTC), datetime(2026, 11, 20, tzinfo=UTC)
    sandbox.set_clock(start)
    before = read(openrouter.get("/credits"))["data"]["total_usage"]
    sandbox.set_clock(end)
    moved = read(openrouter.get("/credits"))["data"]["total_usage"] - before
    days = [today - timedelta(days=n) for n in range(1, 8)]
    now = sum(total_of(sandbox.world.openrouter_spend(day, end)).usage_usd for day in days)
    then = sum(total_of(sandbox.world.openrouter_spend(day, start)).usage_usd for day in days)
    assert moved == now - then > 0


def test_filters_by_hash_partition_the_day_and_the_rest_has_no_key(
    openrouter: httpx.Client, sandbox: RunningSandbox, yesterday: date
) -> None:
    hashes = [key.hash for key in sandbox.world.account.keys]
    half = {"field": "api_key_id", "value": hashes[:60]}
    some = analytics(openrouter, yesterday, yesterday, filters=[{**half, "operator": "in"}])["data"]
    rest = analytics(openrouter, yesterday, yesterday, filters=[{**half, "operator": "not_in"}])["data"]
    whole = analytics(openrouter, yesterday, yesterday)["data"]
    assert added(some, "credits_usage") + added(rest, "credits_usage") == added(whole, "credits_usage")
    split = analytics(openrouter, yesterday, yesterday, dimensions=["api_key_id"])["data"]
    assert [row["api_key_id"] for row in split].count(None) == 1


def test_equal_names_merge(openrouter: httpx.Client, sandbox: RunningSandbox, yesterday: date) -> None:
    first = yesterday - timedelta(days=6)
    twins = [key for key in sandbox.world.account.keys if key.name == "shared-name"]
    only = [{"field": "api_key_id", "operator": "in", "value": [key.hash for key in twins]}]
    rows = analytics(openrouter, first, yesterday, dimensions=["api_key_id"], filters=only)["data"]
    assert len(rows) == 7
    each = [sandbox.world.openrouter.spent(key.hash, first, datetime(2026, 11, 20, tzinfo=UTC)) for key in twins]
    assert sum(spent.usage_usd > 0 for spent in each) >= 2


def test_rows_are_named_typed_and_dated_as_live(openrouter: httpx.Client, yesterday: date) -> None:
    rows = analytics(openrouter, yesterday, yesterday, dimensions=["api_key_id", "model"])["data"]
    assert {row["date__day"] for row in rows} == {f"{yesterday}T00:00:00.000Z"}
    assert all(isinstance(row["request_count"], str) for row in rows)
    assert {row["byok_usage"] is None for row in rows} == {True, False}
    assert "openai/gpt-6-sol" in {row["model"] for row in rows}
    amounts = [row["credits_usage"] for row in rows if isinstance(row["credits_usage"], Decimal)]
    assert all(-int(each.as_tuple().exponent) <= 10 and len(each.as_tuple().digits) <= 15 for each in amounts)


def test_models_are_filtered_by_permaslug(openrouter: httpx.Client, yesterday: date) -> None:
    def only(value: str) -> list[dict[str, Any]]:
        filters = [{"field": "model", "operator": "eq", "value": value}]
        rows: list[dict[str, Any]] = analytics(openrouter, yesterday, yesterday, filters=filters)["data"]
        return rows

    assert only("openai/gpt-6-sol-20260922")
    assert only("openai/gpt-6-sol") == []


def test_a_hash_nobody_has_warns(openrouter: httpx.Client, sandbox: RunningSandbox, yesterday: date) -> None:
    filters = [{"field": "api_key_id", "operator": "eq", "value": "f" * 64}]
    answer = analytics(openrouter, yesterday, yesterday, filters=filters)
    assert answer["data"] == []
    assert len(answer["warnings"]) == 1
    gone = sandbox.world.account.keys[0].hash
    openrouter.delete(f"/keys/{gone}")
    filters[0]["value"] = gone
    assert analytics(openrouter, yesterday, yesterday, filters=filters)["data"] == []


def test_truncation_is_said(openrouter: httpx.Client, yesterday: date) -> None:
    answer = analytics(openrouter, yesterday, yesterday, dimensions=["api_key_id", "model"], limit=10)
    assert answer["metadata"] == {"query_time_ms": 12, "row_count": 10, "truncated": True}


@pytest.mark.parametrize(
    "more",
    [
        {"dimensions": ["model", "api_key_id", "workspace"]},
        {"metrics": []},
        {"metrics": ["colour"]},
        {"limit": 10_001},
        {"time_range": {"start": "2025-11-19T00:00:00Z", "end": "2025-11-25T00:00:00Z"}},
        {"time_range": {"start": "2026-10-01T00:00:00Z", "end": "2026-11-10T00:00:00Z"}, "metrics": ["byok_fees"]},
        {"filters": [{"field": "model", "operator": "in", "value": "x"}]},
        {"filters": [{"field": "model", "operator": "eq", "value": "x"}] * 21},
    ],
)
def test_refused_queries(openrouter: httpx.Client, more: dict[str, Any]) -> None:
    answer = openrouter.post("/analytics/query", json={"metrics": METRICS, "granularity": "day", **more})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 400)


def test_fees_and_inference_are_the_two_parts_of_credits(openrouter: httpx.Client, yesterday: date) -> None:
    metrics = ["credits_usage", "openrouter_usage", "byok_fees", "byok_usage", "total_usage"]
    rows = analytics(openrouter, yesterday, yesterday, metrics=metrics)["data"]
    assert added(rows, "openrouter_usage") + added(rows, "byok_fees") == added(rows, "credits_usage")
    assert added(rows, "total_usage") == added(rows, "credits_usage") + added(rows, "byok_usage")


def test_the_query_rate_is_limited(openrouter: httpx.Client, sandbox: RunningSandbox) -> None:
    sandbox.sandbox.analytics_per_minute = 3
    body = {"metrics": ["request_count"]}
    answers = [openrouter.post("/analytics/query", json=body) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 61


@pytest.mark.parametrize("day", ["2026-11-20", "2026-10-20", "2026-11-21"])
def test_activity_knows_thirty_completed_days(openrouter: httpx.Client, day: str) -> None:
    answer = openrouter.get("/activity", params={"date": day})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "Date must be within the last 30 (completed) UTC days"
    assert openrouter.get("/activity", params={"date": "2026-10-21"}).status_code == 200


def test_activity_per_key_leaves_the_keyless_rest(
    openrouter: httpx.Client, sandbox: RunningSandbox, yesterday: date
) -> None:
    params = {"date": yesterday.isoformat()}
    whole = added(read(openrouter.get("/activity", params=params))["data"], "usage")
    per_key = exact_sum(
        added(read(openrouter.get("/activity", params={**params, "api_key_hash": key.hash}))["data"], "usage")
        for key in sandbox.world.account.keys
    )
    assert Decimal(0) < whole - per_key < whole / 10
