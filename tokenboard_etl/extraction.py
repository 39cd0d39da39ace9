"""One report of one connection over one window, from the provider into a complete landing.

Needs no warehouse: many reports can be extracted side by side while one writer loads what is complete.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from tokenboard_etl.connections import Connection
from tokenboard_etl.errors import (
    KeyRefused,
    LandingDamaged,
    MalformedAnswer,
    ProviderUnavailable,
    StorageFailed,
    TokenboardError,
)
from tokenboard_etl.http import Client
from tokenboard_etl.landing import REJECTED, Landing, OpenLanding, begin, newest_landing, read_body, read_landing
from tokenboard_etl.periods import Window
from tokenboard_etl.providers import openai, openrouter
from tokenboard_etl.providers.wire import Fetch, Request

log = logging.getLogger("tokenboard.extract")

REPORTS: dict[str, tuple[str, ...]] = {
    "openai": ("projects", "costs", "costs_total", "completions"),
    "openrouter": ("keys", "credits", "analytics", "analytics_total", "activity"),
}
"""In the order they are read: what names the accounts first."""

SNAPSHOTS = frozenset({"projects", "keys", "credits"})
"""Reports of how things stand now: they have no days."""

Clock = Callable[[], datetime]


async def extract(connection: Connection, report: str, window: Window, root: Path, clock: Clock) -> Landing:
    """Reads a report to its end into a landing under `root`, continuing an interrupted load of the same window.

    An error leaves no complete landing behind. What a later try can use stays; what it must not use (a body that
    cannot be understood, a key that was refused) is set aside, and the message names the folder.
    """
    keys = newest_landing(root, connection.connection_id, "keys") if report == "analytics" else None
    opened = begin(
        root,
        connection.connection_id,
        connection.provider,
        report,
        window,
        clock(),
        account=connection.fingerprint,
        uses=keys.load_id if keys else None,
    )
    try:
        async with connection.client() as client:
            fetch = _landing_fetch(client, opened, clock)
            days = await _read(report, fetch, window, opened, connection)
        done = opened.complete(days, clock())
    except TokenboardError as error:
        if not isinstance(error, ProviderUnavailable | StorageFailed):
            folder = opened.reject()
            if not isinstance(error, KeyRefused) and folder.suffix == REJECTED:
                error.args = (f"{error} The answer is kept in {folder}.",)
        raise
    finally:
        opened.close()
    log.info("landed %s %s (%s): %d page(s)", connection.connection_id, report, window, len(done.pages))
    _name_unconfirmed_days(connection, report, window, days)
    return done


def _name_unconfirmed_days(connection: Connection, report: str, window: Window, days: frozenset[date] | None) -> None:
    """The provider left days out: they are not zero, they stay missing."""
    if days is None or report == "activity":  # activity ends 30 days back, and gates nothing
        return
    left_out = [str(day) for day in window.days() if day not in days]
    if left_out:
        log.warning(
            "%s %s said nothing about %d day(s), first %s; they stay missing",
            connection.connection_id,
            report,
            len(left_out),
            left_out[0],
        )


def replay(landing: Landing) -> Fetch:
    """A Fetch that answers from a landing and never from a network."""
    by_request = {page.request: page for page in landing.pages}

    async def fetch(request: Request) -> Any:
        page = by_request.get(request.fingerprint)
        if page is None:
            raise LandingDamaged(f"{landing.folder} holds no answer to {request.endpoint}.")
        return parse(request, read_body(landing.folder, page))

    return fetch


def parse(request: Request, body: bytes) -> Any:
    """JSON in UTF-8 with every number exact: int or Decimal. What two readers could read differently is refused."""
    try:
        parsed = json.loads(
            body.decode("utf-8"),
            parse_float=Decimal,
            parse_constant=_refuse_constant,
            object_pairs_hook=_refuse_repeated_keys,
        )
        if b"\\ud" in body.lower():  # half of a surrogate pair is no text; DuckDB refuses it at the load
            json.dumps(parsed, ensure_ascii=False, default=str).encode("utf-8")
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise MalformedAnswer(
            request.provider, request.endpoint, f"the body is not JSON ({error})", status=200
        ) from None
    return parsed


def _landing_fetch(client: Client, opened: OpenLanding, clock: Clock) -> Fetch:
    async def fetch(request: Request) -> Any:
        body = opened.find(request)
        if body is None:
            answer = await client.send(request)
            opened.add(request, answer, clock())
            body = answer.body
        return parse(request, body)

    return fetch


async def _read(
    report: str, fetch: Fetch, window: Window, opened: OpenLanding, connection: Connection
) -> frozenset[date] | None:
    by_window: dict[tuple[str, str], Callable[[Fetch, Window], Awaitable[frozenset[date]]]] = {
        ("openai", "costs"): openai.costs,
        ("openai", "costs_total"): openai.costs_total,
        ("openai", "completions"): openai.completions,
        ("openrouter", "analytics_total"): openrouter.analytics_total,
    }
    match connection.provider, report:
        case "openai", "projects":
            await openai.projects(fetch)
            return None
        case "openrouter", "keys":
            await openrouter.check_key(fetch)
            await openrouter.keys(fetch)
            return None
        case "openrouter", "credits":
            await openrouter.credits(fetch)
            return None
        case "openrouter", "activity":
            return await openrouter.activity(fetch, window, opened.started_at)
        case "openrouter", "analytics":
            known = await _known_keys(opened)
            days = await openrouter.analytics(fetch, window, known)
            await openrouter.refuse_taken_names(fetch, known)
            return days
        case _:
            return await by_window[connection.provider, report](fetch, window)


async def _known_keys(opened: OpenLanding) -> list[openrouter.KeyRef]:
    """The keys of the key list this load began with."""
    if opened.uses is None:
        raise LandingDamaged("No list of OpenRouter keys was landed; read the keys report first.")
    return await openrouter.keys(replay(read_landing(opened.folder.parents[1] / "keys" / opened.uses)))


def _refuse_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two values under one name, Python would read the last and DuckDB the first."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object holds the same name twice")
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")
