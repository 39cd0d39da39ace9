"""OpenAI's administration API: what to ask and how to read the answer.

| report | endpoint | grain | notes |
|---|---|---|---|
| costs | GET /organization/costs | UTC day x project x line item x API key | dollars as text or number; the truth |
| costs_total | GET /organization/costs | UTC day | the control total: asked apart, not grouped |
| completions | GET /organization/usage/completions | UTC day x project x model x key x user x batch x tier | tokens |
| projects | GET /organization/projects | project, as of now | archived ones too: old costs point at them |

Days are UTC and arrive as buckets; a bucket without results is a confirmed zero, a day without a bucket is not.
Restated for days after the fact, so the caller re-reads. One year back at most.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Generic, TypeVar

from pydantic import Field

from tokenboard_etl.errors import AnswerTooLarge, LoadRefused, MalformedAnswer, PaginationStalled, ProviderRejected
from tokenboard_etl.periods import ONE_DAY, Window, utc_day
from tokenboard_etl.providers.buckets import bucket_envelope, days_that_fit, side_by_side
from tokenboard_etl.providers.wire import Fetch, Request, Wire, WireAmount, read

PROVIDER = "openai"
COSTS_PAGE_DAYS = 180
USAGE_PAGE_DAYS = 31
MAX_BODY_BYTES = 16 * 1024 * 1024
"""A larger body is asked for again in smaller pages, so that memory does not grow with an organization: reading one
into the warehouse takes about 13 times its size."""

MAX_PAGES = 10_000
"""More pages than any organization has days and projects: a walk this long goes in circles."""

COSTS_BY = ("project_id", "line_item", "api_key_id")
COMPLETIONS_BY = ("project_id", "model", "api_key_id", "user_id", "batch", "service_tier")


class Amount(Wire):
    value: WireAmount
    currency: str


class CostRow(Wire):
    object: str
    amount: Amount
    line_item: str | None = None
    project_id: str | None = None
    api_key_id: str | None = None
    quantity: WireAmount | None = None
    quantity_unit: str | None = None


class CompletionsRow(Wire):
    object: str
    input_tokens: int
    output_tokens: int
    num_model_requests: int
    input_cached_tokens: int | None = None
    input_cache_write_tokens: int | None = None
    input_uncached_tokens: int | None = None
    input_audio_tokens: int | None = None
    input_cached_audio_tokens: int | None = None
    output_audio_tokens: int | None = None
    input_image_tokens: int | None = None
    input_cached_image_tokens: int | None = None
    output_image_tokens: int | None = None
    project_id: str | None = None
    user_id: str | None = None
    api_key_id: str | None = None
    model: str | None = None
    batch: bool | None = None
    service_tier: str | None = None


Row = TypeVar("Row", CostRow, CompletionsRow)


class Bucket(Wire, Generic[Row]):
    start_time: int
    end_time: int
    results: list[Row]


class BucketPage(Wire, Generic[Row]):
    data: list[Bucket[Row]]
    has_more: bool
    next_page: str | None = None


class Project(Wire):
    id: str = Field(min_length=1)
    name: str | None = None
    created_at: int
    archived_at: int | None = None
    status: str | None = None
    external_key_id: str | None = None


class ProjectPage(Wire):
    data: list[Project]
    has_more: bool
    last_id: str | None = None


async def costs(fetch: Fetch, window: Window) -> frozenset[date]:
    """Costs per project, line item and API key. Returns the days the provider confirmed.

    Splitting by API key is refused before a floor date the provider names; the days below it are then asked
    without the key, so that they carry no `api_key_id`.
    """
    try:
        return await _walk(fetch, _costs(COSTS_BY), BucketPage[CostRow], window)
    except ProviderRejected as refusal:
        floor = key_floor(refusal)
        if floor is None or floor <= window.start:
            raise
    coarse = Window(window.start, min(floor, window.end))
    days = await _walk(fetch, _costs(COSTS_BY[:2]), BucketPage[CostRow], coarse)
    if floor < window.end:
        fine = Window(floor, window.end)
        days |= await _walk(fetch, _costs(COSTS_BY), BucketPage[CostRow], fine)
    return days


async def costs_total(fetch: Fetch, window: Window) -> frozenset[date]:
    """One ungrouped figure per day: what `costs` must add up to."""
    return await _walk(fetch, _costs(()), BucketPage[CostRow], window)


async def completions(fetch: Fetch, window: Window) -> frozenset[date]:
    """Token usage of chat completions and responses, by every dimension a price depends on."""
    report = _Report("/organization/usage/completions", COMPLETIONS_BY, USAGE_PAGE_DAYS)
    return await _walk(fetch, report, BucketPage[CompletionsRow], window)


async def projects(fetch: Fetch) -> None:
    """Every project, archived ones included."""
    first = Request(PROVIDER, "/organization/projects", (("limit", "100"), ("include_archived", "true")))
    request, seen = first, set[str]()
    for _ in range(MAX_PAGES):
        page = read(ProjectPage, request, await fetch(request))
        if not page.has_more or not page.data:
            return
        after = page.last_id or page.data[-1].id
        if after in seen:
            raise PaginationStalled(PROVIDER, request.endpoint, f"the cursor {after!r} came twice")
        seen.add(after)
        request = replace(first, params=(*first.params, ("after", after)))
    raise PaginationStalled(PROVIDER, first.endpoint, f"no end after {MAX_PAGES} pages")


def key_floor(refusal: ProviderRejected) -> date | None:
    """The first day costs can be split by API key, when that is what the provider objected to."""
    found = re.search(r"group_by=api_key_id is not available.*?on or after (\d{9,11})", refusal.detail)
    return utc_day(datetime.fromtimestamp(int(found[1]), UTC)) if found else None


@dataclass(frozen=True)
class _Report:
    """A bucket report: what stays the same while its window and its page size change."""

    path: str
    group_by: tuple[str, ...]
    page_days: int

    def request(self, window: Window, page_days: int) -> Request:
        params = [
            ("start_time", str(window.start_epoch)),
            ("end_time", str(window.end_epoch)),
            ("bucket_width", "1d"),
            *(("group_by", dimension) for dimension in self.group_by),
            ("limit", str(page_days)),
        ]
        max_bytes = MAX_BODY_BYTES if page_days > 1 else None  # a single day cannot be asked for in parts
        return Request(
            PROVIDER, self.path, tuple(params), missing_is_outage=True, max_bytes=max_bytes, envelope=bucket_envelope
        )


def _costs(group_by: tuple[str, ...]) -> _Report:
    return _Report("/organization/costs", group_by, COSTS_PAGE_DAYS)


async def _walk(fetch: Fetch, report: _Report, model: type[BucketPage[Row]], window: Window) -> frozenset[date]:
    """Reads all pages of a bucket report; returns the days that had a bucket.

    A body that is too large tells how many days fit; the days that have not arrived are then asked for in parts of
    that size, side by side.
    """
    days = set[date]()
    try:
        await _walk_pages(fetch, report.request(window, report.page_days), model, window, days)
    except AnswerTooLarge as error:
        rest = Window(min((day for day in window.days() if day not in days), default=window.start), window.end)
        smaller = replace(report, page_days=days_that_fit(error, min(report.page_days, len(list(rest.days())))))
        parts = [_walk(fetch, smaller, model, part) for part in rest.chunks(smaller.page_days)]
        for found in await side_by_side(parts):
            for day in found:
                _add(day, days, report.request(rest, smaller.page_days))
    return frozenset(days)


async def _walk_pages(
    fetch: Fetch, first: Request, model: type[BucketPage[Row]], window: Window, days: set[date]
) -> None:
    """Adds the days of one query's pages to `days`.

    A token is bound to its exact query, so only `page` changes. An empty page ends the walk even if it names
    a successor: costs has sent a token past its last bucket, which leads round for ever. Every other page brings
    days that were not there yet, so the walk ends.
    """
    seen, request = set[str](), first
    while True:
        page = read(model, request, await fetch(request))
        if page.has_more and page.data and (not page.next_page or page.next_page in seen):
            what = f"the page token {page.next_page!r} came twice" if page.next_page else "next_page is missing"
            raise PaginationStalled(PROVIDER, request.endpoint, f"has_more is true and {what}")
        for day in _covered(page, request, window):
            _add(day, days, request)
        if not page.has_more or not page.data or not page.next_page:
            return
        seen.add(page.next_page)
        request = replace(first, params=(*first.params, ("page", page.next_page)))


def _add(day: date, days: set[date], request: Request) -> None:
    if day in days:
        raise LoadRefused(
            f"{PROVIDER} {request.endpoint}: {day} came twice in one report. Counting it twice would bill it "
            "twice, so nothing of it was loaded."
        )
    days.add(day)


def _covered(page: BucketPage[Row], request: Request, window: Window) -> Iterable[date]:
    for bucket in page.data:
        day = _day_of(bucket.start_time, request)
        whole = bucket.start_time % 86_400 == 0 and bucket.end_time - bucket.start_time == ONE_DAY.total_seconds()
        if day not in window or not whole:
            raise LoadRefused(
                f"{PROVIDER} {request.endpoint}: a bucket from {bucket.start_time} to {bucket.end_time} does not "
                f"belong to the days asked for ({window}). Nothing of it was loaded; report this with the landed pages."
            )
        yield day


def _day_of(epoch_s: int, request: Request) -> date:
    try:
        return utc_day(datetime.fromtimestamp(epoch_s, UTC))
    except (ValueError, OverflowError, OSError):
        raise MalformedAnswer(
            PROVIDER, request.endpoint, f"$.data[*].start_time: not a time in seconds, found {epoch_s}", status=200
        ) from None
