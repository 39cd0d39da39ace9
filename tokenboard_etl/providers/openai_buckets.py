"""OpenAI's costs and usage come in buckets of time: one walk reads them all, each once.

| bucket_width | most buckets a page (usage) | notes |
|---|---|---|
| 1d | 31 (costs: 180) | UTC days; the only width of costs |
| 1h | 168 | |
| 1m | 1440 | |

A bucket without results is a confirmed zero, a time without a bucket is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Generic, TypeVar

from tokenboard_etl.errors import AnswerTooLarge, LoadRefused, MalformedAnswer, PaginationStalled
from tokenboard_etl.periods import Window, utc_day
from tokenboard_etl.progress import days_read
from tokenboard_etl.providers.buckets import buckets_that_fit, without_rows
from tokenboard_etl.providers.together import side_by_side
from tokenboard_etl.providers.wire import Fetch, Request, Wire, read

PROVIDER = "openai"
MAX_BODY_BYTES = 16 * 1024 * 1024
"""A larger body is asked for again in smaller pages, so that memory does not grow with an organization: reading one
into the warehouse takes about 13 times its size."""


class BucketRow(Wire):
    """A row of any bucket report."""

    object: str

    def objection(self) -> str | None:
        """Why this row must not be used although it is well formed, after the words "a row of DAY"; None if it may."""
        return None


Row = TypeVar("Row", bound=BucketRow)


class Bucket(Wire, Generic[Row]):
    start_time: int
    end_time: int
    results: list[Row]


class BucketPage(Wire, Generic[Row]):
    data: list[Bucket[Row]]
    has_more: bool
    next_page: str | None = None


@dataclass(frozen=True)
class Width:
    """A bucket's width, and how many of them one page of usage holds at most."""

    name: str
    seconds: int
    page_buckets: int


DAY = Width("1d", 86_400, 31)
HOUR = Width("1h", 3_600, 168)
MINUTE = Width("1m", 60, 1_440)


@dataclass(frozen=True)
class BucketReport(Generic[Row]):
    """What stays the same while a report's window and its page size change.

    `missing_is_outage`: every organization has this report, so a 404 means it is broken for now.
    """

    path: str
    page: type[BucketPage[Row]]
    group_by: tuple[str, ...]
    page_buckets: int
    width: Width = DAY
    missing_is_outage: bool = True
    filters: tuple[tuple[str, str], ...] = ()

    def request(self, start: int, end: int, page_buckets: int) -> Request:
        params = [
            ("start_time", str(start)),
            ("end_time", str(end)),
            ("bucket_width", self.width.name),
            *self.filters,
            *(("group_by", dimension) for dimension in self.group_by),
            ("limit", str(page_buckets)),
        ]
        max_bytes = MAX_BODY_BYTES if page_buckets > 1 else None  # a single bucket cannot be asked for in parts
        return Request(
            PROVIDER,
            self.path,
            tuple(params),
            missing_is_outage=self.missing_is_outage,
            max_bytes=max_bytes,
            without_rows=without_rows,
        )


async def walk_days(fetch: Fetch, report: BucketReport[Row], window: Window) -> frozenset[date]:
    """Reads a report of daily buckets; returns the days that had one."""
    starts = await walk(fetch, report, window.start_epoch, window.end_epoch)
    return frozenset(utc_day(datetime.fromtimestamp(start, UTC)) for start in starts)


async def walk(fetch: Fetch, report: BucketReport[Row], start: int, end: int) -> frozenset[int]:
    """Reads all pages between two Unix times, which must be multiples of the width; returns the buckets' starts.

    A body that is too large tells how many buckets fit; those that have not arrived are then asked for in parts of
    that size, side by side.
    """
    found = set[int]()
    try:
        await _walk_pages(fetch, report, report.request(start, end, report.page_buckets), range(start, end), found)
    except AnswerTooLarge as error:
        rest = range(next((each for each in range(start, end, report.width.seconds) if each not in found), start), end)
        asked = min(report.page_buckets, len(rest) // report.width.seconds)
        smaller = replace(report, page_buckets=buckets_that_fit(error, asked))
        step = smaller.page_buckets * report.width.seconds
        parts = [walk(fetch, smaller, each, min(each + step, end)) for each in range(rest.start, end, step)]
        for part in await side_by_side(parts):
            for each in part:
                _add(each, found, report.path)
    return frozenset(found)


async def _walk_pages(fetch: Fetch, report: BucketReport[Row], first: Request, asked: range, found: set[int]) -> None:
    """Adds the starts of one query's buckets to `found`.

    A token is bound to its exact query, so only `page` changes. An empty page ends the walk even if it names
    a successor: costs has sent a token past its last bucket, which leads round for ever. Every other page brings
    buckets that were not there yet, so the walk ends.
    """
    seen, request = set[str](), first
    while True:
        page = read(report.page, request, await fetch(request))
        if page.has_more and page.data and (not page.next_page or page.next_page in seen):
            what = f"the page token {page.next_page!r} came twice" if page.next_page else "next_page is missing"
            raise PaginationStalled(PROVIDER, request.endpoint, f"has_more is true and {what}")
        for start in _starts(page, report.width, request, asked):
            _add(start, found, report.path)
        days_read(utc_day(datetime.fromtimestamp(bucket.start_time, UTC)) for bucket in page.data)
        if not page.has_more or not page.data or not page.next_page:
            return
        seen.add(page.next_page)
        request = replace(first, params=(*first.params, ("page", page.next_page)))


def _add(start: int, found: set[int], path: str) -> None:
    if start in found:
        raise LoadRefused(
            f"{PROVIDER} GET {path}: {_when(start)} came twice in one report. Counting it twice would bill it twice, "
            "so nothing of it was loaded."
        )
    found.add(start)


def _starts(page: BucketPage[Row], width: Width, request: Request, asked: range) -> Iterator[int]:
    for bucket in page.data:
        start = _instant(bucket.start_time, request)
        whole = start % width.seconds == 0 and bucket.end_time - start == width.seconds
        if start not in asked or not whole:
            raise LoadRefused(
                f"{PROVIDER} {request.endpoint}: a bucket from {start} to {bucket.end_time} does not belong to the "
                f"days asked for ({_when(asked.start)} until {_when(asked.stop)}). Nothing of it was loaded; report "
                "this with the landed pages."
            )
        for row in bucket.results:
            if objection := row.objection():
                raise LoadRefused(f"{PROVIDER} {request.endpoint}: a row of {_when(start)} {objection}")
        yield start


def _instant(epoch_s: int, request: Request) -> int:
    try:
        datetime.fromtimestamp(epoch_s, UTC)
    except (ValueError, OverflowError, OSError):
        raise MalformedAnswer(
            PROVIDER, request.endpoint, f"$.data[*].start_time: not a time in seconds, found {epoch_s}", status=200
        ) from None
    return epoch_s


def _when(epoch_s: int) -> str:
    """A day, or an instant that begins none."""
    instant = datetime.fromtimestamp(epoch_s, UTC)
    return str(instant.date()) if epoch_s % DAY.seconds == 0 else f"{instant:%Y-%m-%dT%H:%MZ}"
