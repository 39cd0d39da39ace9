"""What all OpenRouter endpoints share: who is asking, how a refusal looks, how offsets page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from tokenboard_etl.providers.sandbox.exact_json import ExactJSON
from tokenboard_etl.providers.sandbox.openai_http import bearer
from tokenboard_etl.providers.sandbox.openrouter_state import KeyState
from tokenboard_etl.providers.sandbox.state import Sandbox, sandbox_of


class OpenRouterError(Exception):
    """A refusal; the body's code is the HTTP status, as an integer."""

    def __init__(self, status: int, message: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers
        self.body = {"error": {"code": status, "message": message}}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the management key, or an inference key with its state."""

    inference_key: KeyState | None

    @property
    def is_management(self) -> bool:
        return self.inference_key is None


async def openrouter_refusal(_request: Request, exc: Exception) -> Response:
    if not isinstance(exc, OpenRouterError):
        raise exc
    return ExactJSON(exc.body, exc.status, headers=exc.headers)


def caller(request: Request) -> Caller:
    sandbox = sandbox_of(request)
    token = bearer(request)
    if token is None:
        raise OpenRouterError(401, "Missing Authentication header")
    if token == sandbox.world.management_key:
        return Caller(None)
    key = sandbox.account.by_value(token)
    if key is None or key.is_disabled(sandbox.now()):
        raise OpenRouterError(401, "User not found.")
    return Caller(key)


def managed(request: Request) -> Sandbox:
    """The sandbox, for callers with the management key only."""
    if not caller(request).is_management:
        raise OpenRouterError(403, "Only management keys can perform this operation")
    return sandbox_of(request)


def integer(request: Request, name: str, default: int, low: int, high: int) -> int:
    raw = request.query_params.get(name, str(default))
    if not raw.isdigit() or not low <= int(raw) <= high:
        raise OpenRouterError(400, f"Invalid request parameters: {name}")
    return int(raw)


def flag(request: Request, name: str) -> bool:
    return request.query_params.get(name, "").lower() == "true"


async def body_of(request: Request) -> dict[str, Any]:
    """The body as an object; numbers with a point stay exact."""
    try:
        body = json.loads(await request.body(), parse_float=str)
    except ValueError as exc:
        raise OpenRouterError(400, "Invalid JSON body") from exc
    if not isinstance(body, dict):
        raise OpenRouterError(400, "Invalid request parameters")
    return body


def counted(request: Request, items: Sequence[dict[str, Any]]) -> Response:
    """One page by offset and limit, with the total count."""
    offset = integer(request, "offset", 0, 0, 10**9)
    limit = integer(request, "limit", 50, 1, 100)
    return ExactJSON({"data": items[offset : offset + limit], "total_count": len(items)})
