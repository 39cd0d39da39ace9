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
from tokenboard_etl.errors import LandingDamaged, LoadRefused, MalformedAnswer, PaginationStalled, ProviderRejected
from tokenboard_etl.http import Client
from tokenboard_etl.landing import Landing, OpenLanding, begin, newest_landing, read_body
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
    cannot be understood) is set aside, and the message names the folder.
    """
    opened = begin(root, connection.connection_id, connection.provider, report, window, clock())
    try:
        async with connection.client() as client:
            fetch = _landing_fetch(client, opened, clock)
            days = await _read(report, fetch, window, root, connection, opened.started_at)
        done = opened.complete(days, clock())
    except MalformedAnswer as error:
        folder = opened.reject()
        raise MalformedAnswer(
            error.provider,
            error.endpoint,
            error.detail,
            status=error.status,
            request_id=error.request_id,
            advice=f"{error.advice or 'Nothing of it was loaded.'} The answer is kept in {folder}.",
        ) from None
    except (LoadRefused, PaginationStalled, ProviderRejected):
        opened.reject()
        raise
    finally:
        opened.close()
    log.info("landed %s %s (%s): %d page(s)", connection.connection_id, report, window, len(done.pages))
    return done


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
    """JSON with every number exact: int or Decimal."""
    try:
        return json.loads(body, parse_float=Decimal, parse_constant=_refuse_constant)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise MalformedAnswer(
            request.provider, request.endpoint, f"the body is not JSON ({error})", status=200
        ) from None


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
    report: str, fetch: Fetch, window: Window, root: Path, connection: Connection, now: datetime
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
            return await openrouter.activity(fetch, window, now)
        case "openrouter", "analytics":
            known = await _known_keys(root, connection.connection_id)
            days = await openrouter.analytics(fetch, window, known)
            await openrouter.refuse_taken_names(fetch, known)
            return days
        case _:
            return await by_window[connection.provider, report](fetch, window)


async def _known_keys(root: Path, connection_id: str) -> list[openrouter.KeyRef]:
    """The keys of the newest key list that was landed."""
    newest = newest_landing(root, connection_id, "keys")
    if newest is None:
        raise LandingDamaged(f"No list of OpenRouter keys was landed for {connection_id}; read the keys report first.")
    return await openrouter.keys(replay(newest))


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")
