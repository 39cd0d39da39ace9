"""OpenRouter's management API: what to ask and how to read the answer.

| report | endpoint | grain | notes |
|---|---|---|---|
| keys | GET /workspaces, GET /keys | key, as of now | every workspace, disabled and expired ones too |
| analytics | POST /analytics/query | UTC day x key x model, and UTC day x model | the truth of cost; 365 days back |
| analytics_total | POST /analytics/query | UTC day | the control total: asked apart, not grouped |
| activity | GET /activity | UTC day x model x endpoint | a cross-check; the last 30 completed days only |
| activity_by_key | GET /activity?api_key_hash= | the same, per key | openrouter_by_key.py |
| credits | GET /credits | account, as of now | bought and used |

Analytics answers with key *names*. Names are no identity: keys are asked for by hash, in groups whose names
differ, and the names asked for are written into the landing; an unexpected name makes us ask key by key.
Which keys are asked for at all: openrouter_by_key.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from tokenboard_etl.errors import KeyRefused, LoadRefused, MalformedAnswer, PaginationStalled
from tokenboard_etl.periods import Window, utc_day
from tokenboard_etl.progress import days_read
from tokenboard_etl.providers.openrouter_wire import (
    ActivityAnswer,
    AnalyticsAnswer,
    AnalyticsRow,
    CreditsAnswer,
    Key,
    KeyInfo,
    KeyInfoAnswer,
    KeyPage,
    Workspace,
    WorkspacePage,
)
from tokenboard_etl.providers.together import side_by_side
from tokenboard_etl.providers.wire import Fetch, Request, read

PROVIDER = "openrouter"
KEYS_PER_PAGE = 100
WORKSPACES_PER_PAGE = 100
MAX_PAGES = 10_000
KEYS_PER_QUERY = 50
QUERY_DAYS = 31
ROW_LIMIT = 10_000
ACTIVITY_DAYS = 30
METRICS = ("credits_usage", "byok_usage", "request_count")


@dataclass(frozen=True)
class KeyRef:
    """A key as a cost dimension: its hash is the identity, its name is what analytics answers with."""

    hash: str
    name: str


async def check_key(fetch: Fetch) -> None:
    """Refuses an inference key: with one, /credits has answered zeros instead of an error."""
    request = Request(PROVIDER, "/key")
    info = read(KeyInfoAnswer, request, await fetch(request)).data
    if not (info.is_management_key or info.is_provisioning_key):
        raise KeyRefused(
            PROVIDER,
            request.endpoint,
            "it is an inference key, not a management key",
            "Put a management key (openrouter.ai/settings/management-keys) into OPENROUTER_MANAGEMENT_KEY.",
        )


async def own_key(fetch: Fetch) -> KeyInfo:
    """What the provider says about the key that asks."""
    request = Request(PROVIDER, "/key", key_advice="Is it the whole key, and of OpenRouter?")
    return read(KeyInfoAnswer, request, await fetch(request)).data


async def keys(fetch: Fetch) -> list[KeyRef]:
    """Every key of every workspace."""
    return [KeyRef(key.hash, key.name) for key in (await key_list(fetch)).values()]


async def key_list(fetch: Fetch) -> dict[str, Key]:
    """Every key by hash, with its counters. Without a workspace the API lists only the default one's."""
    found: dict[str, Key] = {}
    for workspace in await workspaces(fetch):
        async for key in _keys_of(fetch, workspace):
            found[key.hash] = key
    return found


async def credits(fetch: Fetch) -> None:  # noqa: A001 - the report's name
    """Credits bought and used by the account.

    Zero and zero is also what a key without permission has been told, so the load takes it as unknown
    (sql/raw/openrouter_credits.sql).
    """
    request = Request(PROVIDER, "/credits")
    read(CreditsAnswer, request, await fetch(request))


async def activity(fetch: Fetch, window: Window, now: datetime) -> frozenset[date]:
    """Usage per model and endpoint. Returns the days of the window that are inside the 30-day horizon."""
    covered = days_of_activity(window, now)
    if not covered:
        return covered
    request = Request(PROVIDER, "/activity", missing_is_outage=True)
    answer = read(ActivityAnswer, request, await fetch(request))
    return confirmed(covered, now, {row.date[:10] for row in answer.data})


def days_of_activity(window: Window, now: datetime) -> frozenset[date]:
    """The days of a window that /activity still knows: the last 30 completed ones."""
    horizon = Window(_oldest_day(now), utc_day(now))
    return frozenset(day for day in window.days() if day in horizon)


def confirmed(days: frozenset[date], now: datetime, told: Collection[str]) -> frozenset[date]:
    """The days that answers are about, which had rows of the dates `told`.

    The oldest is only if there is a row of it: it leaves them at midnight by the provider's clock, and an answer
    without it would say that nothing was spent.
    """
    oldest = _oldest_day(now)
    return days if oldest.isoformat() in told else days - {oldest}


def _oldest_day(now: datetime) -> date:
    return utc_day(now) - timedelta(days=ACTIVITY_DAYS)


async def analytics_total(fetch: Fetch, window: Window) -> frozenset[date]:
    """One figure per day for the whole account."""
    for part in window.chunks(QUERY_DAYS):
        await _query(fetch, part, (), {})
        days_read(part.days())
    return frozenset(window.days())


async def analytics(fetch: Fetch, window: Window, wanted: Sequence[KeyRef]) -> frozenset[date]:
    """Cost per model for the account, and per key and model for every wanted key."""
    for part in window.chunks(QUERY_DAYS):
        questions = [_query(fetch, part, ("model",), {})]
        for group in groups_with_distinct_names(wanted):
            questions.append(_query(fetch, part, ("api_key_id", "model"), {k.name: k.hash for k in group}))
        await side_by_side(questions)
        days_read(part.days())
    return frozenset(window.days())


async def refuse_taken_names(fetch: Fetch, wanted: Sequence[KeyRef]) -> None:
    """To be asked after `analytics`: raises LoadRefused if a key took another wanted key's name meanwhile.

    Analytics answers with names, so such a key's cost would stand under the other one. A name that nobody else
    had does no harm: it was unexpected, and its group was asked for key by key.
    """
    names = {key.hash: key.name for key in wanted}
    taken = set(names.values())
    for key in await keys(fetch):
        before = names.get(key.hash)
        if before is not None and before != key.name and key.name in taken:
            raise LoadRefused(
                f"{PROVIDER} POST /analytics/query: the key {key.hash[:12]}... took the name of another key while "
                "costs were read by name. Nothing of it was loaded; run the same command again."
            )


def groups_with_distinct_names(keys: Iterable[KeyRef], size: int = KEYS_PER_QUERY) -> Iterator[list[KeyRef]]:
    """Splits keys so that within a group no name stands for two of them."""
    rest = sorted(keys, key=lambda k: k.hash)
    while rest:
        group: dict[str, KeyRef] = {}
        left = []
        for key in rest:
            if key.name in group or len(group) == size:
                left.append(key)
            else:
                group[key.name] = key
        yield list(group.values())
        rest = left


async def _query(fetch: Fetch, window: Window, dimensions: tuple[str, ...], names: Mapping[str, str]) -> None:
    """Asks once; asks for less while the answer is truncated or holds a name nobody expected.

    A single key asked for by its hash needs no name: all rows are its own. The load leaves out the pages that
    were superseded here by the same two rules (sql/raw/openrouter_analytics.sql).
    """
    request = _analytics_request(window, dimensions, names)
    answer = read(AnalyticsAnswer, request, await fetch(request)).data
    for row in answer.data:
        _refuse_other_days(row, request, window)
    if answer.metadata.truncated:
        for part, some in _halves(window, names, request):
            await _query(fetch, part, dimensions, some)
    elif len(names) > 1 and any(row.api_key_id not in names for row in answer.data):
        for name, key_hash in names.items():
            await _query(fetch, window, dimensions, {name: key_hash})


def _refuse_other_days(row: AnalyticsRow, request: Request, window: Window) -> None:
    """A provider that answers about other days has not confirmed ours.

    The day after the last one is let through: whether `time_range.end` is included is not documented. It is not loaded
    from this answer, because the next question may be about it (sql/raw/openrouter_analytics.sql).
    """
    text = row.date__day or row.created_at__day or ""
    try:
        day = date.fromisoformat(text[:10])
    except ValueError:
        raise MalformedAnswer(
            PROVIDER, request.endpoint, f"$.data.data[*].date__day: not a day, found {text[:40]!r}", status=200
        ) from None
    if not window.start <= day <= window.end:
        raise LoadRefused(
            f"{PROVIDER} {request.endpoint}: a row of {day} does not belong to the days asked for ({window}). "
            "Nothing of it was loaded; report this with the landed pages."
        )


def _halves(window: Window, names: Mapping[str, str], request: Request) -> list[tuple[Window, Mapping[str, str]]]:
    days = (window.end - window.start).days
    if days > 1:
        return [(part, names) for part in window.chunks((days + 1) // 2)]
    if len(names) > 1:
        items, middle = list(names.items()), len(names) // 2
        return [(window, dict(items[:middle])), (window, dict(items[middle:]))]
    raise PaginationStalled(PROVIDER, request.endpoint, f"{window} has more than {ROW_LIMIT} rows in one group")


def _analytics_request(window: Window, dimensions: tuple[str, ...], names: Mapping[str, str]) -> Request:
    body: dict[str, Any] = {
        "metrics": list(METRICS),
        "granularity": "day",
        "limit": ROW_LIMIT,
        "time_range": {"start": f"{window.start}T00:00:00Z", "end": f"{window.end}T00:00:00Z"},
    }
    if dimensions:
        body["dimensions"] = list(dimensions)
    if names:
        body["filters"] = [{"field": "api_key_id", "operator": "in", "value": sorted(names.values())}]
    days = [str(window.start), str(window.end)]
    context = {"dimensions": list(dimensions), "key_names": dict(names), "days": days}
    return Request(PROVIDER, "/analytics/query", method="POST", body=body, context=context, missing_is_outage=True)


async def workspaces(fetch: Fetch) -> list[Workspace]:
    """Every workspace of the account."""
    found: dict[str, Workspace] = {}
    for number in range(MAX_PAGES):
        offset = number * WORKSPACES_PER_PAGE
        request = Request(PROVIDER, "/workspaces", (("offset", str(offset)), ("limit", str(WORKSPACES_PER_PAGE))))
        page = read(WorkspacePage, request, await fetch(request))
        found.update((workspace.id, workspace) for workspace in page.data)
        if len(found) >= page.total_count:
            return list(found.values())
        if not page.data:
            raise PaginationStalled(
                PROVIDER, request.endpoint, f"{len(found)} of {page.total_count} workspaces arrived"
            )
    raise PaginationStalled(PROVIDER, "GET /workspaces", f"no end after {MAX_PAGES} pages")


async def _keys_of(fetch: Fetch, workspace: Workspace) -> AsyncIterator[Key]:
    """Yields the keys of one workspace: 100 a page, no total and no cursor, so a short page is the last."""
    first = Request(
        PROVIDER, "/keys", (("include_disabled", "true"), ("include_expired", "true"), ("workspace_id", workspace.id))
    )
    seen = set[str]()
    for number in range(MAX_PAGES):
        request = replace(first, params=(*first.params, ("offset", str(number * KEYS_PER_PAGE))))
        page = read(KeyPage, request, await fetch(request)).data
        if page and all(key.hash in seen for key in page):
            raise PaginationStalled(PROVIDER, request.endpoint, f"offset {number * KEYS_PER_PAGE} repeats known keys")
        for key in page:
            seen.add(key.hash)
            yield key
        if len(page) < KEYS_PER_PAGE:
            return
    raise PaginationStalled(PROVIDER, first.endpoint, f"no end after {MAX_PAGES} pages")
