"""Reading OpenAI's reports: every page, each once, and an error wherever the end is in doubt."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from tokenboard_etl.errors import AnswerTooLarge, LoadRefused, MalformedAnswer, PaginationStalled, ProviderRejected
from tokenboard_etl.extraction.bodies import LARGE_BYTES, parse
from tokenboard_etl.periods import Window
from tokenboard_etl.providers import openai, openai_buckets, openai_entities, openai_usage
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.providers.wire import Fetch, Request

EPOCH = date(1970, 1, 1)
JUNE = Window(date(2026, 6, 1), date(2026, 6, 4))
FLOOR = date(2025, 12, 6)
Walk = Callable[[Fetch, Window], Awaitable[frozenset[date]]]
BUCKETED = [(openai.costs, 180), (openai.costs_total, 180), (openai_usage.completions, 31)]


def seconds(day: date) -> int:
    return (day - EPOCH).days * 86_400


def bucket(day: date, *results: dict[str, Any], **more: Any) -> dict[str, Any]:
    start = seconds(day)
    return {"object": "bucket", "start_time": start, "end_time": start + 86_400, "results": list(results), **more}


def page(*buckets: dict[str, Any], next_page: str | None = None, **more: Any) -> dict[str, Any]:
    return {"object": "page", "data": list(buckets), "has_more": next_page is not None, "next_page": next_page, **more}


def cost(value: object = "1.5", currency: str = "usd", **more: Any) -> dict[str, Any]:
    return {"object": "organization.costs.result", "amount": {"value": value, "currency": currency}, **more}


def tokens(**more: Any) -> dict[str, Any]:
    counts = {"input_tokens": 3, "output_tokens": 2, "num_model_requests": 1}
    return {"object": "organization.usage.completions.result", **counts, **more}


def with_limit(limit: int) -> Callable[[Request], Request]:
    """Asks for smaller pages than the client does."""

    def change(request: Request) -> Request:
        params = tuple((name, str(limit) if name == "limit" else value) for name, value in request.params)
        return replace(request, params=params)

    return change


def params_of(request: Request, name: str) -> list[str]:
    return [value for given, value in request.params if given == name]


def rows_of(answers: list[Any]) -> Counter[str]:
    return Counter(
        f"{each['start_time']} {sorted(row.items(), key=str)}"
        for answer in answers
        for each in answer["data"]
        for row in each["results"]
    )


@pytest.mark.parametrize(("walk", "most"), BUCKETED)
def test_pages_of_any_size_give_the_same_rows(live: Any, walk: Walk, most: int) -> None:
    window = Window(date(2026, 5, 20), date(2026, 6, 3))

    async def read(limit: int) -> tuple[frozenset[date], Counter[str], int]:
        async with live("openai", change=with_limit(limit)) as server:
            days = await walk(server.fetch, window)
            return days, rows_of(server.answers), len(server.asked)

    whole = asyncio.run(read(most))
    assert whole[0] == frozenset(window.days())
    assert sum(whole[1].values()) >= len(list(window.days()))
    for limit in (1, 7):
        days, rows, requests = asyncio.run(read(limit))
        assert (days, rows) == whole[:2]
        assert requests >= -(-14 // limit)


def test_projects_of_any_page_size_are_the_same(live: Any, sandbox: RunningSandbox) -> None:
    async def read(limit: int) -> list[str]:
        async with live("openai", change=with_limit(limit)) as server:
            await openai_entities.projects(server.fetch)
            return [project["id"] for answer in server.answers for project in answer["data"]]

    expected = sorted(project.id for project in sandbox.world.organizations[0].projects)
    for limit in (1, 7, 100):
        assert sorted(asyncio.run(read(limit))) == expected


def test_costs_that_are_read_are_the_costs_of_the_world(live: Any, sandbox: RunningSandbox) -> None:
    day = date(2026, 6, 2)
    org = sandbox.world.organizations[0].id

    async def read() -> list[Any]:
        async with live("openai") as server:
            await openai.costs(server.fetch, Window.of_days(day, day))
            return [row for answer in server.answers for each in answer["data"] for row in each["results"]]

    seen: Counter[tuple[str | None, ...]] = Counter()
    for row in asyncio.run(read()):
        seen[row["project_id"], row["line_item"], row["api_key_id"]] += Fraction(str(row["amount"]["value"]))
    true: Counter[tuple[str | None, ...]] = Counter()
    for spent in sandbox.world.openai_costs(org, day, sandbox.sandbox.now()):
        true[spent.project_id, spent.line_item, spent.api_key_id] += Fraction(spent.amount_usd)
    assert seen == true


@pytest.mark.parametrize(("walk", "most"), BUCKETED)
def test_the_window_and_the_grouping_are_frozen_for_the_whole_walk(pages: Any, walk: Walk, most: int) -> None:
    server = pages(
        page(bucket(date(2026, 6, 1)), next_page="a"),
        page(bucket(date(2026, 6, 2)), next_page="b"),
        page(bucket(date(2026, 6, 3))),
    )
    assert asyncio.run(walk(server.fetch, JUNE)) == frozenset(JUNE.days())
    first, second, third = server.asked
    assert params_of(first, "start_time") == [str(seconds(JUNE.start))]
    assert params_of(first, "end_time") == [str(seconds(JUNE.end))]
    assert params_of(first, "limit") == [str(most)]
    assert (second.params, third.params) == ((*first.params, ("page", "a")), (*first.params, ("page", "b")))
    assert all(request.missing_is_outage and request.repeatable for request in server.asked)


def test_costs_always_ask_for_the_project_and_the_total_for_no_dimension(pages: Any) -> None:
    server = pages(page())
    asyncio.run(openai.costs(server.fetch, JUNE))
    asyncio.run(openai.costs_total(server.fetch, JUNE))
    assert params_of(server.asked[0], "group_by") == ["project_id", "line_item", "api_key_id"]
    assert params_of(server.asked[1], "group_by") == []


@pytest.mark.parametrize("walk", [walk for walk, _ in BUCKETED])
def test_a_cursor_past_the_last_bucket_ends_the_walk(pages: Any, walk: Walk) -> None:
    server = pages(page(*map(bucket, JUNE.days()), next_page="a"), page(next_page="b"), page(next_page="c"))
    assert asyncio.run(walk(server.fetch, JUNE)) == frozenset(JUNE.days())
    assert len(server.asked) == 2


def test_a_next_page_without_has_more_is_not_followed(pages: Any) -> None:
    server = pages({**page(bucket(JUNE.start), next_page="a"), "has_more": False})
    assert asyncio.run(openai.costs(server.fetch, JUNE)) == {JUNE.start}
    assert len(server.asked) == 1


def test_a_day_without_a_bucket_is_not_confirmed(pages: Any) -> None:
    server = pages(page(bucket(date(2026, 6, 3)), bucket(date(2026, 6, 1), cost())))
    assert asyncio.run(openai.costs(server.fetch, JUNE)) == {date(2026, 6, 1), date(2026, 6, 3)}
    assert asyncio.run(openai.costs(pages(page()).fetch, JUNE)) == frozenset()


@pytest.mark.parametrize("walk", [walk for walk, _ in BUCKETED])
@pytest.mark.parametrize("tokens_in_turn", [["a", "a"], ["a", "b", "a"], ["a", "b", "c", "b"]])
def test_a_page_token_that_repeats_is_an_error(pages: Any, walk: Walk, tokens_in_turn: list[str]) -> None:
    days = [JUNE.start + timedelta(days=min(turn, 2)) for turn in range(len(tokens_in_turn))]
    server = pages(*(page(bucket(day), next_page=token) for day, token in zip(days, tokens_in_turn, strict=True)))
    with pytest.raises(PaginationStalled, match="came twice"):
        asyncio.run(walk(server.fetch, JUNE))
    assert len(server.asked) == len(tokens_in_turn)


@pytest.mark.parametrize("walk", [walk for walk, _ in BUCKETED])
@pytest.mark.parametrize("missing", [{"next_page": None}, {"next_page": ""}])
def test_more_pages_without_a_token_is_an_error(pages: Any, walk: Walk, missing: dict[str, Any]) -> None:
    with pytest.raises(PaginationStalled, match="next_page is missing"):
        asyncio.run(walk(pages({**page(bucket(JUNE.start)), "has_more": True, **missing}).fetch, JUNE))


def _without(body: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key != name}


WRONG = [
    (_without(page(), "has_more"), r"\$\.has_more"),
    ({**page(), "has_more": None}, r"\$\.has_more"),
    ({**page(), "has_more": "false"}, r"\$\.has_more"),
    (_without(page(), "data"), r"\$\.data"),
    ({**page(), "data": None}, r"\$\.data"),
    ({**page(), "data": {}}, r"\$\.data"),
    ([], r"\$: "),
    (None, r"\$: "),
    (page(bucket(JUNE.start, start_time="1")), r"\$\.data\[0\]\.start_time"),
    (page(bucket(JUNE.start, start_time=True)), r"\$\.data\[0\]\.start_time"),
    (page(bucket(JUNE.start, results=None)), r"\$\.data\[0\]\.results"),
    (page(bucket(JUNE.start, {"object": "organization.costs.result"})), r"\$\.data\[0\]\.results\[0\]\.amount"),
    (page(bucket(JUNE.start, cost(), cost(None))), r"\$\.data\[0\]\.results\[1\]\.amount\.value"),
    (page(bucket(JUNE.start, cost(True))), r"amount\.value"),
    (page(bucket(JUNE.start, cost("1,5"))), r"amount\.value"),
    (page(bucket(JUNE.start, cost(""))), r"amount\.value"),
    (page(bucket(JUNE.start, cost("NaN"))), r"amount\.value"),
    (page(bucket(JUNE.start, cost("1" + "0" * 30))), r"amount\.value"),
    (page(bucket(JUNE.start, cost(currency=None))), r"amount\.currency"),
    (page(bucket(JUNE.start, cost(project_id=7))), r"results\[0\]\.project_id"),
    (page(bucket(JUNE.start, cost(quantity="many"))), r"results\[0\]\.quantity"),
]


@pytest.mark.parametrize(("body", "path"), WRONG)
def test_a_field_of_the_wrong_type_stops_the_walk_with_its_path(pages: Any, body: Any, path: str) -> None:
    with pytest.raises(MalformedAnswer, match=path) as raised:
        asyncio.run(openai.costs(pages(body).fetch, JUNE))
    assert raised.value.endpoint == "GET /organization/costs"


@pytest.mark.parametrize(
    "wrong",
    [
        {"input_tokens": None},
        {"output_tokens": "7"},
        {"num_model_requests": Decimal("1.5")},
        {"input_tokens": True},
        {"batch": "true"},
        {"model": 4},
        {"input_cached_tokens": "0"},
    ],
)
def test_a_token_count_of_the_wrong_type_stops_the_walk(pages: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(MalformedAnswer, match=next(iter(wrong))):
        asyncio.run(openai_usage.completions(pages(page(bucket(JUNE.start, tokens(**wrong)))).fetch, JUNE))


def test_unknown_fields_and_absent_optional_ones_are_no_error(pages: Any) -> None:
    row = cost(Decimal("0.07"), organization_id="org_1", user_email="a@b.example", misc={"deep": [1]})
    body = page(bucket(JUNE.start, row, start_time_iso="2026-06-01T00:00:00+00:00"), extra=None)
    assert asyncio.run(openai.costs(pages(body).fetch, JUNE)) == {JUNE.start}
    old = page(bucket(JUNE.start, tokens(input_cache_write_12h_tokens=4, api_source="x")))
    assert asyncio.run(openai_usage.completions(pages(old).fetch, JUNE)) == {JUNE.start}


@pytest.mark.parametrize("value", [0, 1, -3, Decimal("0.1"), "0E-6176", "-0.5", "1." + "3" * 39])
def test_amounts_come_as_numbers_or_text_and_may_be_negative(pages: Any, value: object) -> None:
    assert asyncio.run(openai.costs(pages(page(bucket(JUNE.start, cost(value)))).fetch, JUNE)) == {JUNE.start}


@pytest.mark.parametrize("walk", [walk for walk, _ in BUCKETED])
@pytest.mark.parametrize("day", [JUNE.start - timedelta(days=1), JUNE.end, date(2020, 1, 1), date(2099, 1, 1)])
def test_a_bucket_outside_the_window_refuses_the_load(pages: Any, walk: Walk, day: date) -> None:
    with pytest.raises(LoadRefused, match="does not belong to the days asked for"):
        asyncio.run(walk(pages(page(bucket(JUNE.start), bucket(day))).fetch, JUNE))


@pytest.mark.parametrize(
    ("start", "length"), [(0, 43_200), (0, 172_800), (3_600, 86_400), (3_600, 82_800), (0, 0), (0, -86_400)]
)
def test_a_bucket_that_is_no_whole_day_refuses_the_load(pages: Any, start: int, length: int) -> None:
    begin = seconds(JUNE.start) + start
    odd = bucket(JUNE.start, start_time=begin, end_time=begin + length)
    with pytest.raises(LoadRefused, match="does not belong to the days asked for"):
        asyncio.run(openai.costs(pages(page(odd)).fetch, JUNE))


@pytest.mark.parametrize("start", [-(10**15), 10**15, 10**30])
def test_a_bucket_beyond_the_calendar_refuses_the_load(pages: Any, start: int) -> None:
    odd = bucket(JUNE.start, start_time=start * 86_400, end_time=(start + 1) * 86_400)
    with pytest.raises((LoadRefused, MalformedAnswer)):
        asyncio.run(openai.costs(pages(page(odd)).fetch, JUNE))


def floor_refusal(floor: int = seconds(FLOOR)) -> ProviderRejected:
    words = f"group_by=api_key_id is not available for this time range. Try a start_time on or after {floor}."
    return ProviderRejected("openai", "GET /organization/costs", f"HTTP 400: {words}", status=400, param="start_time")


def test_below_the_key_floor_the_window_is_split_and_read_without_keys(live: Any) -> None:
    window = Window(date(2025, 12, 1), date(2025, 12, 11))

    async def read() -> tuple[frozenset[date], list[Request], list[Any]]:
        async with live("openai") as server:
            return await openai.costs(server.fetch, window), server.asked, server.answers

    days, asked, answers = asyncio.run(read())
    assert days == frozenset(window.days())
    by_key: dict[date, set[bool]] = {}
    for answer in answers:
        for each in answer["data"]:
            day = datetime.fromtimestamp(each["start_time"], UTC).date()
            by_key.setdefault(day, set()).update(row["api_key_id"] is not None for row in each["results"])
    assert {day for day, kinds in by_key.items() if True in kinds} == set(Window(FLOOR, window.end).days())
    assert {day for day, kinds in by_key.items() if True not in kinds} == set(Window(window.start, FLOOR).days())
    assert [params_of(request, "start_time") for request in asked if not params_of(request, "page")] == [
        [str(seconds(window.start))],
        [str(seconds(FLOOR))],
    ]


def test_a_window_wholly_below_the_floor_is_read_once_more_without_keys(pages: Any) -> None:
    window = Window(date(2025, 11, 1), date(2025, 11, 3))
    server = pages(floor_refusal(), page(*map(bucket, window.days())))
    assert asyncio.run(openai.costs(server.fetch, window)) == frozenset(window.days())
    assert params_of(server.asked[1], "group_by") == ["project_id", "line_item"]
    assert params_of(server.asked[1], "end_time") == [str(seconds(window.end))]


def test_a_floor_inside_a_day_leaves_no_day_out_and_is_not_silent(pages: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The day the floor is in begins before it, so it is asked for without keys."""
    window = Window(date(2025, 12, 5), date(2025, 12, 9))
    coarse, fine = (date(2025, 12, 5), FLOOR), (FLOOR + timedelta(days=1), FLOOR + timedelta(days=2))
    server = pages(
        floor_refusal(seconds(FLOOR) + 1),
        page(*(bucket(day, cost()) for day in coarse)),
        page(*(bucket(day, cost()) for day in fine)),
    )
    assert asyncio.run(openai.costs(server.fetch, window)) == frozenset(window.days())
    assert "days before 2025-12-07 carry no API key" in caplog.text


def test_a_floor_that_does_not_explain_the_refusal_is_passed_on(pages: Any) -> None:
    with pytest.raises(ProviderRejected):
        asyncio.run(openai.costs(pages(floor_refusal(seconds(JUNE.start))).fetch, JUNE))
    other = ProviderRejected("openai", "GET /organization/costs", "HTTP 400: Limit must be less than", status=400)
    with pytest.raises(ProviderRejected, match="Limit must be"):
        asyncio.run(openai.costs(pages(other).fetch, JUNE))


def test_the_floor_is_read_out_of_the_providers_words() -> None:
    assert openai.key_floor(floor_refusal()) == FLOOR
    assert openai.key_floor(floor_refusal(seconds(FLOOR) + 3_600)) == FLOOR + timedelta(days=1)
    assert openai.key_floor(ProviderRejected("openai", "GET /x", "HTTP 400: something else")) is None


def project(number: int, **more: Any) -> dict[str, Any]:
    return {"id": f"proj_{number}", "object": "organization.project", "name": "n", "created_at": 1, **more}


def listed(*items: dict[str, Any], has_more: bool = False, **more: Any) -> dict[str, Any]:
    return {"object": "list", "data": list(items), "has_more": has_more, **more}


def test_projects_are_asked_for_with_the_archived_ones_and_continue_after_the_last_id(pages: Any) -> None:
    server = pages(
        listed(project(1), project(2), has_more=True, last_id="proj_2"),
        listed(project(3), has_more=True),
        listed(project(4), last_id="proj_4"),
    )
    asyncio.run(openai_entities.projects(server.fetch))
    assert [params_of(request, "after") for request in server.asked] == [[], ["proj_2"], ["proj_3"]]
    assert all(params_of(request, "include_archived") == ["true"] for request in server.asked)


def test_an_empty_page_of_projects_ends_the_list(pages: Any) -> None:
    server = pages(listed(project(1), has_more=True, last_id="proj_1"), listed(has_more=True, last_id="proj_9"))
    asyncio.run(openai_entities.projects(server.fetch))
    assert len(server.asked) == 2


def test_a_cursor_of_projects_that_repeats_is_an_error(pages: Any) -> None:
    server = pages(listed(project(1), has_more=True, last_id="proj_1"))
    with pytest.raises(PaginationStalled, match="'proj_1' came twice"):
        asyncio.run(openai_entities.projects(server.fetch))
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    "body",
    [
        _without(listed(), "has_more"),
        listed(project(1, id="")),
        listed(project(1, created_at=None)),
        listed(_without(project(1), "id")),
        {"error": {"message": "no"}},
    ],
)
def test_a_list_of_projects_that_is_none_is_malformed(pages: Any, body: Any) -> None:
    with pytest.raises(MalformedAnswer):
        asyncio.run(openai_entities.projects(pages(body).fetch))


@pytest.mark.slow
def test_a_walk_without_an_end_is_stopped() -> None:
    asked = [0]

    async def fetch(_: Request) -> Any:
        asked[0] += 1
        return page(bucket(JUNE.start), next_page=f"t{asked[0]}")

    with pytest.raises(LoadRefused, match="2026-06-01 came twice"):
        asyncio.run(openai.costs(fetch, JUNE))
    assert asked[0] == 2


@pytest.mark.parametrize("together", [True, False])
def test_a_day_that_comes_twice_is_refused_and_not_billed_twice(pages: Any, together: bool) -> None:
    twice = [bucket(JUNE.start), bucket(JUNE.start)]
    answers = [page(*twice)] if together else [page(twice[0], next_page="t1"), page(twice[1])]
    with pytest.raises(LoadRefused, match="came twice in one report"):
        asyncio.run(openai.costs_total(pages(*answers).fetch, JUNE))


def test_requests_that_ask_the_same_have_one_fingerprint() -> None:
    one, two = Request("openai", "/x", context={"a": 1}), Request("openai", "/x", context={"a": 1})
    assert one.fingerprint == two.fingerprint
    others = [
        Request("openai", "/x", context={"a": 2}),
        Request("openai", "/x", (("page", "2"),)),
        Request("openai", "/y"),
        Request("openai", "/x", method="POST"),
    ]
    assert len({one.fingerprint, *(other.fingerprint for other in others)}) == 5


@pytest.mark.parametrize("largest", [1, 2, 5, 31])
def test_bodies_that_are_too_large_are_asked_for_in_smaller_pages(live: Any, largest: int) -> None:
    """Whatever page size fits, the same days and rows arrive, each once."""
    window = Window(date(2026, 5, 1), date(2026, 6, 10))

    async def read(limit: int) -> tuple[frozenset[date], Counter[str]]:
        async with live("openai") as server:

            async def fetch(request: Request) -> Any:
                if int(dict(request.params)["limit"]) > limit:
                    assert request.max_bytes == openai_buckets.MAX_BODY_BYTES
                    raise AnswerTooLarge("openai", request.endpoint, "too large")
                return await server.fetch(request)

            days = await openai.costs_total(fetch, window)
            buckets = [each for answer in server.answers for each in answer["data"]]
            return days, Counter(json.dumps(each, default=str) for each in buckets)

    assert asyncio.run(read(largest)) == asyncio.run(read(180))


def test_a_single_day_is_taken_however_large_it_is(pages: Any) -> None:
    server = pages(page(bucket(JUNE.start)))
    report = openai_buckets.BucketReport("/x", openai_buckets.BucketPage[openai.CostRow], (), 1)
    asyncio.run(openai_buckets.walk_days(server.fetch, report, JUNE))
    assert server.asked[0].max_bytes is None


def too_large(*days: date) -> AnswerTooLarge:
    """What had arrived: some whole days and the beginning of another."""
    beginning = json.dumps(page(*map(bucket, days)))[:-40].encode()
    return AnswerTooLarge("openai", "GET /organization/costs", "too large", beginning=beginning)


def test_what_arrived_of_a_large_body_tells_how_many_days_fit(pages: Any) -> None:
    days = list(Window(date(2026, 6, 1), date(2026, 6, 9)).days())
    server = pages(too_large(*days[:4]), *(page(*map(bucket, days[at : at + 3])) for at in (0, 3, 6)))
    window = Window(days[0], days[-1] + timedelta(days=1))
    assert asyncio.run(openai.costs(server.fetch, window)) == frozenset(days)
    assert [params_of(request, "limit") for request in server.asked] == [["180"], ["3"], ["3"], ["3"]]


def test_parts_that_bring_a_day_twice_are_refused(pages: Any) -> None:
    """A page may bring a later day before a body that is too large; asking again for the rest would bill it twice."""
    first, second, third = JUNE.days()
    server = pages(
        page(bucket(third), bucket(first), next_page="a"), too_large(), page(bucket(second)), page(bucket(third))
    )
    with pytest.raises(LoadRefused, match="came twice"):
        asyncio.run(openai.costs(server.fetch, JUNE))


def test_an_error_of_a_part_is_the_reports_error(pages: Any) -> None:
    first, *_ = JUNE.days()
    server = pages(too_large(first), LoadRefused("as it is"), *(page(bucket(day)) for day in JUNE.days()))
    with pytest.raises(LoadRefused, match="as it is"):
        asyncio.run(openai.costs(server.fetch, JUNE))


ONE_REQUEST = openai_buckets.BucketReport(
    "/organization/costs", openai_buckets.BucketPage[openai.CostRow], (), 3
).request(JUNE.start_epoch, JUNE.end_epoch, 3)


def large(*buckets: dict[str, Any], **more: Any) -> bytes:
    """A page of more than a megabyte: the same with spaces, which are no JSON of their own."""
    return json.dumps(page(*buckets, **more)).encode() + b" " * LARGE_BYTES


def test_of_a_large_body_all_but_the_rows_is_read() -> None:
    read = parse(ONE_REQUEST, large(bucket(JUNE.start, cost(), cost()), bucket(JUNE.end), next_page="t"))
    assert read == page(bucket(JUNE.start), bucket(JUNE.end), next_page="t")


@pytest.mark.parametrize(
    "repeated",
    [
        '{"data":[{"start_time":0,"end_time":86400,"results":[ROW],"results":[]}],"has_more":false}',
        '{"data":[{"start_time":0,"end_time":86400,"results":[],"results":[ROW]}],"has_more":false}',
        '{"data":[{"start_time":0,"end_time":86400,"results":[ROW],"results":[ROW]}],"has_more":false}',
        '{"data":[{"start_time":0,"end_time":86400,"results":[ROW]}],"data":[],"has_more":false}',
        '{"data":[{"start_time":0,"start_time":86400,"end_time":86400,"results":[ROW]}],"has_more":false}',
        '{"data":[{"start_time":0,"end_time":86400,"results":[ROW]}],"has_more":false,"has_more":true}',
    ],
)
def test_rows_under_a_name_that_comes_twice_are_refused_in_a_large_body_too(repeated: str) -> None:
    """Python and msgspec would take the last of them, DuckDB the first."""
    body = repeated.replace("ROW", json.dumps(cost())).encode()
    for padding in (0, LARGE_BYTES):
        with pytest.raises(MalformedAnswer, match="the same name twice"):
            parse(ONE_REQUEST, body + b" " * padding)


@pytest.mark.parametrize(
    ("body", "path"), [(body, path) for body, path in WRONG if "amount" not in path and r"results\[" not in path]
)
def test_the_envelope_of_a_large_body_is_read_as_strictly(body: Any, path: str) -> None:
    async def fetch(request: Request) -> Any:
        return parse(request, json.dumps(body).encode() + b" " * LARGE_BYTES)

    with pytest.raises(MalformedAnswer, match=path):
        asyncio.run(openai.costs(fetch, JUNE))


@pytest.mark.parametrize("cut", [1, 40, 200])
def test_a_large_body_that_is_no_json_is_malformed(cut: int) -> None:
    with pytest.raises(MalformedAnswer, match="not JSON"):
        parse(ONE_REQUEST, b" " * LARGE_BYTES + large(bucket(JUNE.start, cost())).rstrip()[:-cut])
