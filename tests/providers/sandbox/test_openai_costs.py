"""Costs: the amounts are the world's to the last digit, and every quirk of the live report is there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from tokenboard_etl.providers.sandbox.amounts import exact_sum
from tokenboard_etl.providers.sandbox.server import RunningSandbox

Costs = Callable[..., list[dict[str, Any]]]
PATH = "/organization/costs"
ALL = ["project_id", "line_item", "api_key_id"]


def epoch(day: date) -> int:
    return (day - date(1970, 1, 1)) // timedelta(seconds=1)


def rows_of(buckets: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for bucket in buckets for row in bucket["results"]]


def total(rows: list[dict[str, Any]]) -> Decimal:
    return exact_sum(Decimal(row["amount"]["value"]) for row in rows)


def test_a_grouped_day_is_the_oracle_to_the_last_digit(
    costs: Costs, sandbox: RunningSandbox, org_id: str, yesterday: date
) -> None:
    seen: dict[tuple[str | None, ...], Decimal] = {}
    for row in rows_of(costs(yesterday, yesterday, group_by=ALL)):
        key = (row["project_id"], row["line_item"], row["api_key_id"])
        seen[key] = exact_sum((seen.get(key, Decimal(0)), Decimal(row["amount"]["value"])))
    oracle = sandbox.world.openai_costs(org_id, yesterday, sandbox.sandbox.now())
    assert seen == {(row.project_id, row.line_item, row.api_key_id): row.amount_usd for row in oracle}
    assert len(oracle) > 100


@pytest.mark.parametrize("group_by", [["project_id"], ["line_item"], ["api_key_id"], ["user_id"], ALL])
def test_every_grouping_adds_up_to_the_ungrouped_total(costs: Costs, yesterday: date, group_by: list[str]) -> None:
    first = yesterday - timedelta(days=9)
    grouped, control = costs(first, yesterday, group_by=group_by), costs(first, yesterday)
    assert [total(bucket["results"]) for bucket in grouped] == [total(bucket["results"]) for bucket in control]
    assert all(len(bucket["results"]) == 1 for bucket in control)
    (row,) = control[0]["results"]
    absent = ("project_id", "line_item", "api_key_id", "quantity", "quantity_unit", "user_id")
    assert all(row[name] is None for name in absent)


def test_amounts_come_as_long_strings_numbers_and_odd_zeros(costs: Costs, yesterday: date) -> None:
    rows = rows_of(costs(yesterday - timedelta(days=6), yesterday, group_by=ALL))
    values = [row["amount"]["value"] for row in rows]
    strings = [value for value in values if isinstance(value, str)]
    assert 0 < len(values) - len(strings) < len(strings)
    assert max(len(text.partition(".")[2]) for text in strings) == 39
    assert any(text.partition(".")[2][18:].strip("0") for text in strings)
    zeros = [row for row in rows if row["amount"]["value"] == "0E-6176"]
    assert zeros
    assert all(Decimal(row["quantity"]) > 0 for row in zeros)
    assert all(Decimal(value) < 10**15 for value in values if not isinstance(value, str))


def test_quantities_look_like_floats(openai: httpx.Client, yesterday: date) -> None:
    text = openai.get(PATH, params={"start_time": epoch(yesterday), "group_by": ALL}).text
    assert '.0,"quantity_unit":"tokens"' in text


def test_grouping_by_line_item_alone_is_split_by_project(costs: Costs, yesterday: date) -> None:
    rows = rows_of(costs(yesterday, yesterday, group_by="line_item"))
    names = Counter(row["line_item"] for row in rows)
    assert max(names.values()) > 1
    assert any(row["project_id"] for row in rows)


def test_some_keys_come_in_two_rows(costs: Costs, yesterday: date) -> None:
    rows = rows_of(costs(yesterday, yesterday, group_by=ALL))
    keys = Counter((row["project_id"], row["line_item"], row["api_key_id"]) for row in rows)
    assert set(keys.values()) == {1, 2}


def test_spend_without_a_project_exists(costs: Costs, yesterday: date) -> None:
    rows = rows_of(costs(yesterday, yesterday, group_by=ALL))
    assert [row["line_item"] for row in rows if row["project_id"] is None] == ["scale tier bundle"]


def test_brackets_and_plain_arrays_mean_the_same(openai: httpx.Client, yesterday: date) -> None:
    base = {"start_time": epoch(yesterday), "end_time": epoch(yesterday + timedelta(days=1))}
    plain = openai.get(PATH, params={**base, "group_by": ALL}).json()
    assert openai.get(PATH, params={**base, "group_by[]": ALL}).json()["data"] == plain["data"]


def test_filters_keep_what_they_name(costs: Costs, sandbox: RunningSandbox, yesterday: date) -> None:
    project = sandbox.world.organizations[0].projects[1].id
    rows = rows_of(costs(yesterday, yesterday, group_by=ALL, project_ids=project))
    assert {row["project_id"] for row in rows} == {project}
    key, item = rows[0]["api_key_id"], rows[0]["line_item"]
    assert {r["api_key_id"] for r in rows_of(costs(yesterday, yesterday, group_by=ALL, api_key_ids=key))} == {key}
    assert {r["line_item"] for r in rows_of(costs(yesterday, yesterday, group_by=ALL, line_items=item))} == {item}


def test_a_project_filter_without_grouping_does_nothing(costs: Costs, sandbox: RunningSandbox, yesterday: date) -> None:
    project = sandbox.world.organizations[0].projects[1].id
    assert rows_of(costs(yesterday, yesterday, project_ids=project)) == rows_of(costs(yesterday, yesterday))


def test_starts_are_snapped_to_midnight_and_the_future_is_absent(openai: httpx.Client, today: date) -> None:
    start = epoch(today) - 3 * 86_400 + 40_000
    page = openai.get(PATH, params={"start_time": start, "end_time": start + 90 * 86_400, "limit": 180}).json()
    assert [bucket["start_time"] for bucket in page["data"]] == [epoch(today) - n * 86_400 for n in (3, 2, 1, 0)]


def test_a_project_without_spend_on_a_day_gives_empty_buckets(costs: Costs, sandbox: RunningSandbox) -> None:
    archived = next(p for p in sandbox.world.organizations[0].projects if p.archived_on)
    assert archived.archived_on is not None
    buckets = costs(
        archived.archived_on - timedelta(days=2), archived.archived_on, group_by=ALL, project_ids=archived.id
    )
    assert [bool(bucket["results"]) for bucket in buckets] == [True, True, False]


def test_the_default_page_holds_seven_days_and_cursors_walk_on(openai: httpx.Client, today: date) -> None:
    query: dict[str, Any] = {"start_time": epoch(today) - 20 * 86_400, "end_time": epoch(today)}
    starts = []
    for _ in range(10):
        page = openai.get(PATH, params=query).json()
        starts += [bucket["start_time"] for bucket in page["data"]]
        assert len(page["data"]) <= 7
        if not page["has_more"] or not page["data"]:
            break
        query["page"] = page["next_page"]
    assert starts == list(range(epoch(today) - 20 * 86_400, epoch(today), 86_400))


def test_some_queries_have_a_cursor_past_the_end_for_ever(openai: httpx.Client, today: date) -> None:
    lingering = 0
    for days in range(1, 13):
        query: dict[str, Any] = {"start_time": epoch(today) - days * 86_400, "end_time": epoch(today), "limit": 180}
        page = openai.get(PATH, params=query).json()
        assert len(page["data"]) == days
        if page["has_more"]:
            lingering += 1
            for _ in range(2):
                page = openai.get(PATH, params={**query, "page": page["next_page"]}).json()
                assert page["data"] == []
                assert page["has_more"]
    assert 0 < lingering < 12


@pytest.mark.parametrize("change", [{"limit": 2}, {"end_time": 1_795_132_801}, {"group_by": "project_id"}])
def test_a_cursor_belongs_to_its_exact_query(openai: httpx.Client, today: date, change: dict[str, Any]) -> None:
    query = {"start_time": epoch(today) - 9 * 86_400, "end_time": epoch(today), "limit": 3}
    token = openai.get(PATH, params=query).json()["next_page"]
    assert openai.get(PATH, params={**query, "page": token}).status_code == 200
    assert openai.get(PATH, params={**query, **change, "page": token}).status_code == 400
    assert openai.get(PATH, params={**query, "page": "page_nonsense"}).status_code == 400


@pytest.mark.parametrize(
    ("params", "param", "code", "text"),
    [
        ({"limit": 181}, None, "invalid_request_error", "Limit must be less than or equal to 180."),
        ({"bucket_width": "1h"}, "bucket_width", "invalid_request_error", "Supported values are: '1d'"),
        ({"start_time": "soon"}, "start_time", "invalid_type", "start_time"),
        ({"start_time": None}, None, "invalid_request_error", "start_time"),
        ({"group_by": "colour"}, "group_by", "invalid_request_error", "'project_id', 'line_item'"),
        (
            {"start_time": 1_764_979_199, "group_by": "api_key_id"},
            "start_time",
            "invalid_request_error",
            "Try a start_time on or after 1764979200.",
        ),
        (
            {"start_time": 1_763_424_000},
            "start_time",
            "reporting_lookback_exceeded",
            "Earliest supported start date: 2025-11-20 (UTC).",
        ),
    ],
)
def test_refusals(
    openai: httpx.Client, today: date, params: dict[str, Any], param: str | None, code: str, text: str
) -> None:
    query = {"start_time": epoch(today) - 86_400, **params}
    answer = openai.get(PATH, params={name: value for name, value in query.items() if value is not None})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, param, code)
    assert text in error["message"]
    assert error["type"] == "invalid_request_error"


def test_costs_by_key_are_there_from_the_floor_on(openai: httpx.Client) -> None:
    params = {"start_time": 1_764_979_200, "group_by": "api_key_id", "limit": 1}
    results = openai.get(PATH, params=params).json()["data"][0]["results"]
    assert len(results) > 10


def test_every_organization_has_its_own_costs(sandbox: RunningSandbox, yesterday: date) -> None:
    for org in sandbox.world.organizations:
        headers = {"Authorization": f"Bearer {sandbox.world.admin_keys[org.id]}"}
        params = {"start_time": epoch(yesterday), "limit": 1, "group_by": ALL}
        page = httpx.get(sandbox.openai_base_url + PATH, params=params, headers=headers).json()
        ids = {row["project_id"] for row in page["data"][0]["results"]} - {None}
        assert ids
        assert ids <= {project.id for project in org.projects}


def test_the_clock_moves_the_figures(costs: Costs, sandbox: RunningSandbox, today: date) -> None:
    before = total(rows_of(costs(today, today)))
    sandbox.set_clock(datetime(2026, 11, 20, 20, tzinfo=UTC))
    assert total(rows_of(costs(today, today))) > before > 0
