"""A body as JSON with every number exact. What two readers could read differently is refused."""

from __future__ import annotations

import json
from contextlib import suppress
from decimal import Decimal
from typing import Any

import msgspec

from tokenboard_etl.errors import LandingDamaged, MalformedAnswer, answered_as
from tokenboard_etl.landing import Landing, read_body
from tokenboard_etl.providers.wire import Fetch, Request

LARGE_BYTES = 1024 * 1024
"""From here on Python reads no rows where the request says how to do without."""


def parse(request: Request, body: bytes) -> Any:
    """JSON in UTF-8 with every number int or Decimal; raises MalformedAnswer for anything else.

    Of a large body all but its rows, if the request says which these are: they are checked where it is loaded. A name
    that comes twice in one of them is not noticed there, and DuckDB takes the first.
    """
    if request.without_rows is not None and len(body) > LARGE_BYTES:
        with suppress(msgspec.DecodeError, RecursionError):  # let the words below say what is wrong with it
            body = request.without_rows(body)
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


def replay(landing: Landing) -> Fetch:
    """A Fetch that answers from a landing and never from a network."""
    by_request = {page.request: page for page in landing.pages}

    async def fetch(request: Request) -> Any:
        page = by_request.get(request.fingerprint)
        if page is None:
            raise LandingDamaged(f"{landing.folder} holds no answer to {request.endpoint}.")
        answered_as.set(page.request_id)
        return parse(request, read_body(landing.folder, page))

    return fetch


def _refuse_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two values under one name, Python would read the last and DuckDB the first."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object holds the same name twice")
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")
