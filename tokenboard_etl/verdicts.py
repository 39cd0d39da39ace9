"""What a provider's answer means: it can be used, another try may help, or a person has to do something."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec
from pydantic_core import from_json

from tokenboard_etl.errors import ClockWrong, KeyRefused, ProviderRejected, ProviderUnavailable
from tokenboard_etl.providers.wire import Request
from tokenboard_etl.redaction import redact

_TRY_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})

_USED_UP = re.compile(r"limit exceeded|budget of .* exceeded", re.IGNORECASE)
"""A 403 that is about money, not about the key's kind."""

_KEY_ADVICE = {
    "openai": "It must be an admin key (sk-admin-...) with the scope api.usage.read: set OPENAI_ADMIN_KEY.",
    "openrouter": "It must be a management key that is not disabled: set OPENROUTER_MANAGEMENT_KEY.",
}


CLOCKS_MAY_DIFFER = timedelta(hours=12)
"""More is another day, and for a month ahead a provider may say that nothing was spent. Less, a cache may explain."""


def refuse_wrong_clock(request: Request, headers: Mapping[str, str], now: datetime) -> None:
    """Raises ClockWrong where an answer's date is not that of this machine, `now`; an answer without one passes."""
    try:
        theirs = parsedate_to_datetime(headers.get("date", ""))
    except ValueError:
        return
    if theirs.tzinfo is not None and abs(now - theirs) >= CLOCKS_MAY_DIFFER:
        raise ClockWrong(
            f"By this machine's clock it is {now:%Y-%m-%d %H:%M} UTC, by {request.provider}'s "
            f"{theirs.astimezone(UTC):%Y-%m-%d %H:%M}. Nothing was loaded; set the clock right and run the same "
            "command again."
        )


def request_id_in(headers: Mapping[str, str]) -> str | None:
    """The provider's name for the request, to quote to its support."""
    return headers.get("x-request-id") or headers.get("cf-ray")


def judge(request: Request, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Raises the error an answer means, if it is none that can be used. `headers` are asked for in lower case."""
    request_id = request_id_in(headers)
    if status in range(200, 300):
        if _cut_short(body):
            raise ProviderUnavailable(
                request.provider,
                request.endpoint,
                f"the body ends in the middle after {len(body)} bytes" if body else "an empty body",
                request_id=request_id,
            )
        return
    message, param = _error_text(body)
    said = f"HTTP {status}" + (f": {message}" if message else "")
    if status in (401, 403) and not _USED_UP.search(message):
        advice = request.key_advice or _KEY_ADVICE[request.provider]
        raise KeyRefused(request.provider, request.endpoint, said, advice, request_id)
    unclear = request.missing_is_none and body and _cut_short(body)  # which of the two meanings, is in the words
    if status in _TRY_AGAIN or (status == 404 and (request.missing_is_outage or unclear)):
        raise ProviderUnavailable(
            request.provider,
            request.endpoint,
            said,
            status=status,
            request_id=request_id,
            retry_after_s=_retry_after(headers),
        )
    raise ProviderRejected(
        request.provider,
        request.endpoint,
        said,
        status=status,
        param=param,
        request_id=request_id,
        advice=_advice(status, message),
    )


def _cut_short(body: bytes) -> bool:
    """Whether a body ends in the middle of its JSON. One that is no JSON at all is not asked for again."""
    try:
        msgspec.json.decode(body, type=msgspec.Raw)  # to the end, and builds nothing
    except (msgspec.DecodeError, RecursionError):
        pass
    else:
        return False
    try:
        from_json(body)
    except ValueError as error:
        return "EOF while parsing" in str(error)
    return False


def _error_text(content: bytes) -> tuple[str, str | None]:
    """Message and parameter name out of an error body; both providers' shapes, and older ones without a wrapper."""
    try:
        body: Any = json.loads(content)
    except (ValueError, RecursionError):
        return "", None
    error = body.get("error", body) if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return "", None
    message, param = error.get("message") or error.get("title") or "", error.get("param")
    return redact(" ".join(str(message).split()))[:500].rstrip("."), param if isinstance(param, str) else None


def _advice(status: int, message: str) -> str:
    """What a person can do about a rejection. Nothing was loaded from it in any case."""
    if re.search(r"past year|last \d+ (\S+ )*days", message):
        todo = "the provider keeps no earlier ones, so ask for later days with --from"
    elif status == 402 or _USED_UP.search(message):
        todo = "add credits or raise the limit at the provider"
    elif status == 404:
        todo = "check the base URL, and whether what was asked for still exists"
    else:
        todo = "check the days asked for and the base URL; if they are right, the provider has changed its API"
    return f"Nothing was loaded from it; {todo}."


def _retry_after(headers: Mapping[str, str]) -> int | None:
    value = headers.get("retry-after", "")
    return int(value) if value.isascii() and value.isdigit() else None
