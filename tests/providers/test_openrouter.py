"""Reading OpenRouter's reports: no key is lost, no two keys are mixed, nothing truncated is taken for whole."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tokenboard_etl.errors import KeyRefused, LoadRefused, MalformedAnswer, PaginationStalled
from tokenboard_etl.periods import Window
from tokenboard_etl.providers import openrouter, openrouter_changes
from tokenboard_etl.providers.openrouter import KeyRef, groups_with_distinct_names
from tokenboard_etl.providers.openrouter_by_key import activity_by_key
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.providers.wire import Request
from tokenboard_etl.warehouse.sql_files import read_sql

NOW = datetime(2026, 6, 15, 2, 0, tzinfo=UTC)
TODAY = date(2026, 6, 15)
JUNE = Window(date(2026, 6, 1), date(2026, 6, 5))


def key_item(number: int, **more: Any) -> dict[str, Any]:
    return {
        "hash": f"{number:064x}",
        "name": f"key {number}",
        "label": "sk-or-v1-0e6...1c96",
        "disabled": False,
        "limit": None,
        "limit_remaining": None,
        "limit_reset": None,
        "usage": 0,
        "usage_daily": 0,
        "usage_weekly": 0,
        "usage_monthly": 0,
        "byok_usage": 0,
        "created_at": "2026-01-01T00:00:00Z",
        **more,
    }


def workspaces(*ids: str, total: int | None = None) -> dict[str, Any]:
    return {"data": [{"id": each, "name": each} for each in ids], "total_count": len(ids) if total is None else total}


def listed(*numbers: int) -> dict[str, Any]:
    return {"data": [key_item(number) for number in numbers]}


def params_of(request: Request) -> dict[str, str]:
    return dict(request.params)


# --- keys -----------------------------------------------------------------------------------------------------------


def test_keys_of_all_workspaces_are_read_disabled_ones_and_those_past_the_first_hundred_too(
    live: Any, sandbox: RunningSandbox
) -> None:
    async def read() -> tuple[list[KeyRef], list[Request]]:
        async with live("openrouter") as server:
            return await openrouter.keys(server.fetch), server.asked

    found, asked = asyncio.run(read())
    world = [key for key in sandbox.world.account.keys if key.created_at <= NOW]
    assert {key.hash: key.name for key in found} == {key.hash: key.name for key in world}
    assert len(found) == len(world) > 100
    assert len({key.workspace_id for key in world}) == 2
    assert any(key.disabled_on is not None and key.disabled_on <= TODAY for key in world)
    assert len({key.name for key in found}) < len(found)
    assert {params_of(request).get("offset") for request in asked if request.path == "/keys"} >= {"0", "100"}


def test_a_full_page_of_keys_is_followed_by_the_next_and_a_short_one_is_the_last(pages: Any) -> None:
    server = pages(workspaces("w"), listed(*range(100)), listed(*range(100, 200)), listed(*range(200, 203)))
    assert len(asyncio.run(openrouter.keys(server.fetch))) == 203
    assert [params_of(request).get("offset") for request in server.asked[1:]] == ["0", "100", "200"]
    assert all(
        (params_of(request)["include_disabled"], params_of(request)["include_expired"]) == ("true", "true")
        for request in server.asked[1:]
    )


def test_exactly_a_hundred_keys_end_with_an_empty_page(pages: Any) -> None:
    server = pages(workspaces("w"), listed(*range(100)), listed())
    assert len(asyncio.run(openrouter.keys(server.fetch))) == 100


def test_a_key_made_during_the_walk_shifts_pages_and_is_still_read_once(pages: Any) -> None:
    """Newest first: a new key pushes the last one of the first page onto the second."""
    server = pages(workspaces("w"), listed(*range(100)), listed(*range(99, 150)))
    assert Counter(key.hash for key in asyncio.run(openrouter.keys(server.fetch))) == Counter(
        {f"{number:064x}": 1 for number in range(150)}
    )


def test_pages_of_keys_that_repeat_are_an_error(pages: Any) -> None:
    with pytest.raises(PaginationStalled, match="repeats known keys"):
        asyncio.run(openrouter.keys(pages(workspaces("w"), listed(*range(100))).fetch))


def test_a_key_list_is_read_for_each_workspace(pages: Any) -> None:
    server = pages(workspaces("w1", "w2"), listed(1), listed(2))
    assert [key.name for key in asyncio.run(openrouter.keys(server.fetch))] == ["key 1", "key 2"]
    assert [params_of(request).get("workspace_id") for request in server.asked[1:]] == ["w1", "w2"]


@pytest.mark.parametrize("count", [1, 100, 101, 250])
def test_every_workspace_is_read_whatever_their_number(count: int) -> None:
    names = [f"w{number}" for number in range(count)]
    keyed: list[str] = []

    async def fetch(request: Request) -> Any:
        params = params_of(request)
        if request.path == "/workspaces":
            offset = int(params["offset"])
            return workspaces(*names[offset : offset + int(params["limit"])], total=count)
        keyed.append(params["workspace_id"])
        return listed()

    asyncio.run(openrouter.keys(fetch))
    assert sorted(keyed) == sorted(names)


def test_workspaces_that_do_not_all_arrive_are_an_error(pages: Any) -> None:
    server = pages(workspaces("w1", "w2", total=3), workspaces(total=3))
    with pytest.raises(PaginationStalled, match="2 of 3 workspaces arrived"):
        asyncio.run(openrouter.keys(server.fetch))


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({"hash": ""}, "hash"),
        ({"hash": None}, "hash"),
        ({"name": None}, "name"),
        ({"usage": None}, "usage"),
        ({"usage": "much"}, "usage"),
        ({"usage": True}, "usage"),
        ({"limit": "x"}, "limit"),
        ({"disabled": "false"}, "disabled"),
    ],
)
def test_a_key_with_a_field_of_the_wrong_type_is_malformed(pages: Any, wrong: dict[str, Any], path: str) -> None:
    server = pages(workspaces("w"), {"data": [key_item(1), key_item(2, **wrong)]})
    with pytest.raises(MalformedAnswer, match=rf"\$\.data\[1\]\.{path}: "):
        asyncio.run(openrouter.keys(server.fetch))


# --- who is asking, credits, activity -------------------------------------------------------------------------------


def test_an_inference_key_is_refused_before_anything_else_is_read(live: Any, sandbox: RunningSandbox) -> None:
    usable = next(key for key in sandbox.world.account.keys if key.disabled_on is None and key.created_at <= NOW)

    async def check(key: str | None) -> None:
        async with live("openrouter", key=key) as server:
            await openrouter.check_key(server.fetch)

    with pytest.raises(KeyRefused, match="inference key, not a management key") as raised:
        asyncio.run(check(usable.value))
    assert "OPENROUTER_MANAGEMENT_KEY" in str(raised.value)
    assert usable.value not in str(raised.value)
    asyncio.run(check(None))


@pytest.mark.parametrize(
    ("data", "refused"),
    [
        ({"is_management_key": True}, False),
        ({"is_provisioning_key": True}, False),
        ({"is_management_key": False, "is_provisioning_key": True}, False),
        ({"is_management_key": False}, True),
        ({}, True),
    ],
)
def test_a_management_key_is_known_by_either_name(pages: Any, data: dict[str, Any], refused: bool) -> None:
    if refused:
        with pytest.raises(KeyRefused):
            asyncio.run(openrouter.check_key(pages({"data": data}).fetch))
    else:
        asyncio.run(openrouter.check_key(pages({"data": data}).fetch))


@pytest.mark.parametrize(
    ("bought", "used", "balance"),
    [
        ("0", "1", (0, 1)),
        ("5", "0", (5, 0)),
        ("-1", "0", (-1, 0)),
        ("0", "0", (None, None)),
        ('"0"', '"0E-6176"', (None, None)),
        ("0.0", "0", (None, None)),
    ],
)
def test_one_zero_is_a_balance_and_two_of_any_spelling_are_unknown(
    bought: str, used: str, balance: tuple[int | None, int | None]
) -> None:
    """Two zeros are also what a key without permission has been told."""
    body = f'{{"data": {{"total_credits": {bought}, "total_usage": {used}}}}}'
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE landed AS SELECT $1::JSON AS body", [body])
        assert connection.execute(read_sql("raw.openrouter_credits").query).fetchall() == [balance]


def test_credits_of_the_sandbox_are_read(live: Any) -> None:
    async def read() -> Any:
        async with live("openrouter") as server:
            await openrouter.credits(server.fetch)
            return server.answers[0]["data"]

    told = asyncio.run(read())
    assert told["total_credits"] > told["total_usage"] > 0


@pytest.mark.parametrize("oldest", [30, 29])
@pytest.mark.parametrize("now", [NOW, datetime(2026, 6, 15, tzinfo=UTC), datetime(2026, 6, 15, 23, 59, 59, tzinfo=UTC)])
def test_activity_covers_the_last_30_completed_days_and_no_other(pages: Any, now: datetime, oldest: int) -> None:
    """Of the first of them it has to tell something: by the provider's clock it may be over."""
    server = pages({"data": [activity_row(TODAY - timedelta(days=ago)) for ago in (1, oldest)]})
    window = Window(date(2026, 4, 1), date(2026, 7, 1))
    covered = asyncio.run(openrouter.activity(server.fetch, window, now))
    assert sorted(covered) == [TODAY - timedelta(days=ago) for ago in range(oldest, 0, -1)]
    assert len(server.asked) == 1


@pytest.mark.parametrize("by_key", [False, True])
def test_a_clock_that_is_behind_does_not_say_of_a_day_that_is_over_that_nothing_was_spent(
    live: Any, by_key: bool
) -> None:
    window = Window(TODAY - timedelta(days=40), TODAY)

    async def days(now: datetime) -> frozenset[date]:
        async with live("openrouter") as server:
            if by_key:
                return await activity_by_key(server.fetch, window, now, await openrouter.keys(server.fetch))
            return await openrouter.activity(server.fetch, window, now)

    assert asyncio.run(days(NOW)) == {TODAY - timedelta(days=ago) for ago in range(1, 30 if by_key else 31)}
    assert asyncio.run(days(NOW - timedelta(hours=11))) == {TODAY - timedelta(days=ago) for ago in range(2, 31)}


def activity_row(day: date) -> dict[str, Any]:
    texts = dict.fromkeys(("model", "model_permaslug", "endpoint_id", "provider_name"), "a")
    amounts = dict.fromkeys(("usage", "byok_usage_inference"), Decimal(1))
    counts = dict.fromkeys(("requests", "prompt_tokens", "completion_tokens", "reasoning_tokens"), 1)
    return {"date": f"{day} 00:00:00", **texts, **amounts, **counts}


@pytest.mark.parametrize(
    "window", [Window(TODAY, TODAY + timedelta(days=2)), Window(date(2026, 5, 1), date(2026, 5, 16))]
)
def test_activity_outside_its_horizon_is_not_even_asked_for(pages: Any, window: Window) -> None:
    server = pages({"data": []})
    assert asyncio.run(openrouter.activity(server.fetch, window, NOW)) == frozenset()
    assert server.asked == []


def test_activity_of_the_sandbox_adds_up_to_its_world(live: Any, sandbox: RunningSandbox) -> None:
    window = Window(TODAY - timedelta(days=3), TODAY)

    async def read() -> tuple[frozenset[date], list[Any]]:
        async with live("openrouter") as server:
            return await openrouter.activity(server.fetch, window, NOW), server.answers[0]["data"]

    days, rows = asyncio.run(read())
    assert days == frozenset(window.days())
    for day in days:
        told = sum(Fraction(str(row["usage"])) for row in rows if row["date"].startswith(day.isoformat()))
        assert told == sum(Fraction(row.usage_usd) for row in sandbox.world.openrouter_spend(day, NOW))


# --- analytics ------------------------------------------------------------------------------------------------------

_names = st.sampled_from(("", "a", "A", "b", "shared", "shared ", "x" * 300, "<b>", "\u00e9", "e\u0301"))
_keys = st.lists(st.builds(KeyRef, st.integers(0, 300).map("{:064x}".format), _names), unique_by=lambda key: key.hash)


@given(_keys, st.integers(1, 60))
def test_equal_names_never_share_a_group_and_no_key_is_lost(keys: list[KeyRef], size: int) -> None:
    groups = list(groups_with_distinct_names(keys, size))
    assert Counter(key for group in groups for key in group) == Counter(keys)
    for group in groups:
        assert 1 <= len(group) <= size
        assert len({key.name for key in group}) == len(group)


@given(_keys, st.randoms(use_true_random=False))
def test_groups_do_not_depend_on_the_order_of_keys(keys: list[KeyRef], random: Any) -> None:
    """An interrupted load is continued only if the same questions are asked again."""
    shuffled = list(keys)
    random.shuffle(shuffled)
    assert list(groups_with_distinct_names(keys)) == list(groups_with_distinct_names(shuffled))


@dataclass
class Spend:
    usage_date: date
    key_hash: str | None
    model: str
    cost: Decimal


@dataclass
class Analytics:
    """A small OpenRouter: spend per day, key and model, shown by the keys' present names, cut at a row limit."""

    spend: list[Spend]
    names: dict[str, str]
    row_limit: int = 10_000
    asked: list[Request] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)

    async def fetch(self, request: Request) -> Any:
        assert request.body is not None
        body = request.body
        start, end = (date.fromisoformat(body["time_range"][name][:10]) for name in ("start", "end"))
        wanted = {value for each in body.get("filters", []) for value in each["value"]}
        sums: Counter[tuple[str | None, ...]] = Counter()
        for row in self.spend:
            if start <= row.usage_date < end and (not wanted or row.key_hash in wanted):
                shown = {"api_key_id": self.names.get(row.key_hash or ""), "model": row.model}
                dimensions = (shown[name] for name in body.get("dimensions", ()))
                sums[row.usage_date.isoformat(), *dimensions] += row.cost
        names = ("date__day", *body.get("dimensions", ()))
        rows = [
            {**dict(zip(names, key, strict=True)), "credits_usage": cost, "byok_usage": None, "request_count": "1"}
            for key, cost in sums.items()
        ]
        answer = {
            "data": {"data": rows[: self.row_limit], "metadata": {"truncated": len(rows) > self.row_limit}},
        }
        self.asked.append(request)
        self.answers.append(answer)
        return answer

    def loaded(self) -> dict[tuple[date, str | None, str], Fraction]:
        """What the load makes of all pages that were answered."""
        with duckdb.connect() as connection:
            connection.execute("CREATE TABLE landed (page_no BIGINT, context JSON, body JSON)")
            for number, (request, answer) in enumerate(zip(self.asked, self.answers, strict=True), start=1):
                values = [number, json.dumps(request.context), json.dumps(answer, default=str)]
                connection.execute("INSERT INTO landed VALUES ($1, $2, $3)", values)
            rows = connection.execute(
                f"SELECT usage_date, key_hash, model, cost_usd FROM ({read_sql('raw.openrouter_analytics').query})"
            ).fetchall()
        return {(day, key_hash, model): Fraction(cost) for day, key_hash, model, cost in rows}

    def truth(self) -> dict[tuple[date, str | None, str], Fraction]:
        """Per day, key and model, and per day and model for the whole account."""
        sums: Counter[tuple[date, str | None, str]] = Counter()
        for row in self.spend:
            sums[row.usage_date, None, row.model] += Fraction(row.cost)
            if row.key_hash is not None:
                sums[row.usage_date, row.key_hash, row.model] += Fraction(row.cost)
        return dict(sums)


def account(keys: int, days: Window, models: int = 2) -> Iterator[Spend]:
    for day in days.days():
        for number in range(keys):
            for model in range(models):
                yield Spend(day, f"{number:064x}", f"m{model}", Decimal(f"{day.day}.{number:03d}{model}"))
        yield Spend(day, None, "m0", Decimal("0.5"))


def refs(names: dict[str, str]) -> list[KeyRef]:
    return [KeyRef(key_hash, name) for key_hash, name in names.items()]


def test_analytics_are_read_per_key_and_for_the_whole_account(live: Any, sandbox: RunningSandbox) -> None:
    window = Window(date(2026, 6, 8), date(2026, 6, 11))

    async def read() -> tuple[frozenset[date], list[Any], list[Request]]:
        async with live("openrouter") as server:
            keys = await openrouter.keys(server.fetch)
            server.asked.clear()
            server.answers.clear()
            days = await openrouter.analytics(server.fetch, window, keys)
            return days, server.answers, server.asked

    days, answers, asked = asyncio.run(read())
    assert days == frozenset(window.days())
    server = Analytics([], {}, asked=asked, answers=answers)
    server.spend = [
        Spend(row.usage_date, row.key_hash, row.model, row.usage_usd)
        for day in window.days()
        for row in sandbox.world.openrouter_spend(day, NOW)
    ]
    loaded = {key: cost for key, cost in server.loaded().items() if cost}
    assert loaded == {key: cost for key, cost in server.truth().items() if cost}
    assert len({key_hash for _, key_hash, _ in loaded}) > 60


@settings(max_examples=40, deadline=None)
@given(
    keys=st.integers(1, 7),
    names=st.lists(st.sampled_from(("a", "b", "c", "d")), min_size=7, max_size=7),
    days=st.integers(1, 6),
    row_limit=st.integers(2, 40),
)
def test_truncated_answers_are_halved_until_they_are_whole(
    keys: int, names: list[str], days: int, row_limit: int
) -> None:
    window = Window(date(2026, 6, 1), date(2026, 6, 1) + timedelta(days=days))
    named = {f"{number:064x}": names[number] for number in range(keys)}
    server = Analytics(list(account(keys, window)), named, row_limit)
    assert asyncio.run(openrouter.analytics(server.fetch, window, refs(named))) == frozenset(window.days())
    assert server.loaded() == server.truth()


def test_one_key_and_one_day_with_too_many_rows_is_an_error() -> None:
    window = Window(date(2026, 6, 1), date(2026, 6, 2))
    named = {f"{0:064x}": "a"}
    server = Analytics(list(account(1, window, models=3)), named, row_limit=2)
    with pytest.raises(PaginationStalled, match="more than 10000 rows in one group"):
        asyncio.run(openrouter.analytics(server.fetch, window, refs(named)))


def test_a_total_is_one_figure_a_day_and_is_halved_too() -> None:
    window = Window(date(2026, 6, 1), date(2026, 6, 6))
    server = Analytics(list(account(2, window)), {}, row_limit=2)
    assert asyncio.run(openrouter.analytics_total(server.fetch, window)) == frozenset(window.days())
    whole = [answer["data"] for answer in server.answers if not answer["data"]["metadata"]["truncated"]]
    told = {row["date__day"]: row["credits_usage"] for answer in whole for row in answer["data"]}
    assert told == {
        day.isoformat(): sum(row.cost for row in server.spend if row.usage_date == day) for day in window.days()
    }
    assert all("dimensions" not in (request.body or {}) for request in server.asked)


@settings(max_examples=40, deadline=None)
@given(
    known=st.lists(st.sampled_from(("a", "b", "c", "d")), min_size=5, max_size=5),
    renamed=st.dictionaries(st.integers(0, 4), st.sampled_from(("new", "other", None)), max_size=5),
    row_limit=st.integers(2, 30),
)
def test_an_unexpected_name_makes_each_key_asked_for_alone(
    known: list[str], renamed: dict[int, str | None], row_limit: int
) -> None:
    """Keys that were renamed, or whose name is gone, after the list of keys was read."""
    window = Window(date(2026, 6, 1), date(2026, 6, 3))
    listed_names = {f"{number:064x}": name for number, name in enumerate(known)}
    present = {**listed_names, **{f"{number:064x}": name for number, name in renamed.items()}}
    server = Analytics(list(account(5, window)), present, row_limit)
    asyncio.run(openrouter.analytics(server.fetch, window, refs(listed_names)))
    assert server.loaded() == server.truth()


def test_keys_with_expected_names_are_not_asked_for_alone() -> None:
    named = {f"{number:064x}": f"key {number}" for number in range(120)}
    server = Analytics(list(account(120, JUNE, models=1)), named)
    asyncio.run(openrouter.analytics(server.fetch, JUNE, refs(named)))
    assert len(server.asked) == 1 + 3
    assert server.loaded() == server.truth()
    for request in server.asked[1:]:
        assert request.body is not None
        (only,) = request.body["filters"]
        assert (only["field"], only["operator"]) == ("api_key_id", "in")
        assert sorted(request.context["key_names"].values()) == only["value"]
        assert request.method == "POST"
        assert request.repeatable


def test_windows_longer_than_31_days_are_asked_for_in_parts() -> None:
    window = Window(date(2026, 1, 1), date(2026, 3, 20))
    server = Analytics(list(account(1, window)), {f"{0:064x}": "a"})
    asyncio.run(openrouter.analytics_total(server.fetch, window))
    ranges = [request.body["time_range"] for request in server.asked if request.body]
    assert [each["start"] for each in ranges] == [
        "2026-01-01T00:00:00Z",
        "2026-02-01T00:00:00Z",
        "2026-03-04T00:00:00Z",
    ]
    assert [each["end"] for each in ranges] == ["2026-02-01T00:00:00Z", "2026-03-04T00:00:00Z", "2026-03-20T00:00:00Z"]


def test_without_any_key_the_account_is_still_read() -> None:
    server = Analytics(list(account(1, JUNE)), {})
    assert asyncio.run(openrouter.analytics(server.fetch, JUNE, [])) == frozenset(JUNE.days())
    assert len(server.asked) == 1


def answer(*rows: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {"data": {"data": list(rows), "metadata": {"truncated": False, **metadata}}}


ROW = {"date__day": "2026-06-01T00:00:00.000Z", "model": "m", "credits_usage": Decimal("1.5"), "request_count": "214"}


@pytest.mark.parametrize(
    "body",
    [
        {"data": {"data": [ROW]}},
        {"data": {"data": [ROW], "metadata": {}}},
        answer(ROW, truncated=None),
        answer(ROW, truncated="false"),
        answer({name: value for name, value in ROW.items() if name != "date__day"}),
        answer({**ROW, "date__day": None}),
        answer({**ROW, "credits_usage": "x"}),
        answer({**ROW, "credits_usage": True}),
        answer({**ROW, "request_count": "-1"}),
        answer({**ROW, "request_count": "1.5"}),
        answer({**ROW, "request_count": "\u0661"}),
        {"data": {"data": None, "metadata": {"truncated": False}}},
        {"data": []},
        [],
    ],
)
def test_an_analytics_answer_that_cannot_be_read_is_malformed(pages: Any, body: Any) -> None:
    with pytest.raises(MalformedAnswer):
        asyncio.run(openrouter.analytics_total(pages(body).fetch, JUNE))


@pytest.mark.parametrize(
    "row",
    [
        ROW,
        {**ROW, "byok_usage": None, "credits_usage": None},
        {**ROW, "date__day": None, "created_at__day": "2026-06-01"},
        {**ROW, "request_count": 3, "unknown": {"x": 1}},
        {**ROW, "credits_usage": -1},
    ],
)
def test_parts_that_were_not_used_may_be_null_or_absent(pages: Any, row: dict[str, Any]) -> None:
    assert asyncio.run(openrouter.analytics_total(pages(answer(row)).fetch, JUNE)) == frozenset(JUNE.days())


@pytest.mark.parametrize("day", ["2026-05-31", "2026-06-06T00:00:00.000Z", "2031-01-01", "yesterday", "", "20"])
def test_a_row_outside_the_window_refuses_the_load(pages: Any, day: str) -> None:
    with pytest.raises((LoadRefused, MalformedAnswer)):
        asyncio.run(openrouter.analytics_total(pages(answer({**ROW, "date__day": day})).fetch, JUNE))


def test_a_row_of_the_windows_end_is_let_through_and_confirms_nothing(pages: Any) -> None:
    """Whether the provider counts the end of a time range in is not documented."""
    rows = ({**ROW, "date__day": day.isoformat()} for day in (JUNE.start, JUNE.end))
    assert JUNE.end not in asyncio.run(openrouter.analytics_total(pages(answer(*rows)).fetch, JUNE))


def test_a_key_renamed_to_anothers_name_does_not_lend_it_its_cost(pages: Any) -> None:
    """After the keys were listed, one of them takes the name of another one of its group."""
    window = Window(date(2026, 6, 1), date(2026, 6, 2))
    listed_names = {f"{0:064x}": "a", f"{1:064x}": "b"}
    server = Analytics(list(account(2, window)), dict.fromkeys(listed_names, "b"))
    asyncio.run(openrouter.analytics(server.fetch, window, refs(listed_names)))
    assert server.loaded() != server.truth()
    workspace = {"data": [{"id": "w", "name": "w"}], "total_count": 1}
    now = {"data": [{**key_item(number), "hash": f"{number:064x}", "name": "b"} for number in range(2)]}
    with pytest.raises(LoadRefused, match="took the name of another key"):
        asyncio.run(openrouter.refuse_taken_names(pages(workspace, now).fetch, refs(listed_names)))


def test_a_key_renamed_to_a_name_of_its_own_is_no_reason_to_refuse(pages: Any) -> None:
    listed_names = {f"{0:064x}": "a", f"{1:064x}": "b"}
    workspace = {"data": [{"id": "w", "name": "w"}], "total_count": 1}
    now = {
        "data": [{**key_item(0), "hash": f"{0:064x}", "name": "new"}, {**key_item(1), "hash": f"{1:064x}", "name": "b"}]
    }
    asyncio.run(openrouter.refuse_taken_names(pages(workspace, now).fetch, refs(listed_names)))


def test_a_limit_is_sent_digit_for_digit_and_the_key_does_not_show(pages: Any) -> None:
    server = pages({"data": key_item(1), "key": "sk-or-v1-EXAMPLE"})
    made = asyncio.run(openrouter_changes.create_key(server.fetch, "team", Decimal("0.10"), "monthly"))
    assert made.key.get_secret_value() == "sk-or-v1-EXAMPLE"
    assert "EXAMPLE" not in repr(made)
    (request,) = server.asked
    assert not request.repeatable
    assert request.body == {"name": "team", "limit": Decimal("0.10"), "limit_reset": "monthly"}


def test_a_request_with_other_parameters_is_another_one() -> None:
    one = Request("openrouter", "/keys", (("offset", "0"),))
    assert one.fingerprint != replace(one, params=(("offset", "100"),)).fingerprint
