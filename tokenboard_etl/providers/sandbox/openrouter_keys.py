"""/key and /keys: pages of 100 newest first, the default workspace unless one is named, a secret shown once."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tokenboard_etl.providers.sandbox.amounts import plain
from tokenboard_etl.providers.sandbox.exact_json import ExactJSON
from tokenboard_etl.providers.sandbox.openrouter_http import (
    OpenRouterError,
    body_of,
    caller,
    flag,
    integer,
    managed,
)
from tokenboard_etl.providers.sandbox.openrouter_state import KeyState
from tokenboard_etl.providers.sandbox.router_spend import FIRST_DAY
from tokenboard_etl.providers.sandbox.state import Sandbox, sandbox_of

_PAGE = 100
_RESETS = (None, "daily", "weekly", "monthly")
_UTC_WITH_SECONDS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")


async def current_key(request: Request) -> Response:
    who, sandbox = caller(request), sandbox_of(request)
    key = who.inference_key
    if key is None:
        key = KeyState("", "", "sk-or-v1-mgm...key", sandbox.world.default_workspace_id, sandbox.now())
    shown = key_json(sandbox, key)
    for private in ("hash", "name", "disabled", "created_at", "updated_at"):
        del shown[private]
    return ExactJSON(
        {
            "data": {
                **shown,
                "is_free_tier": False,
                "is_management_key": who.is_management,
                "is_provisioning_key": who.is_management,
                "rate_limit": {"requests": -1, "interval": "10s", "note": "Deprecated."},
            }
        }
    )


async def list_keys(request: Request) -> Response:
    sandbox = managed(request)
    offset = integer(request, "offset", 0, 0, 10**9)
    workspace = request.query_params.get("workspace_id", sandbox.world.default_workspace_id)
    if sandbox.account.workspace(workspace) is None:
        raise OpenRouterError(400, "Invalid request parameters: workspace_id")
    now, disabled, expired = sandbox.now(), flag(request, "include_disabled"), flag(request, "include_expired")
    keys = [
        key
        for key in sandbox.account.keys.values()
        if key.workspace_id == workspace
        and key.created_at <= now
        and (disabled or not key.is_disabled(now))
        and (expired or not key.is_expired(now))
    ]
    keys.sort(key=lambda key: key.created_at, reverse=True)
    return ExactJSON({"data": [key_json(sandbox, key) for key in keys[offset : offset + _PAGE]]})


async def create_key(request: Request) -> Response:
    sandbox = managed(request)
    body = await body_of(request)
    name = body.get("name")
    if not isinstance(name, str) or not name:
        raise OpenRouterError(400, "Invalid request parameters: name")
    workspace = _workspace(sandbox, body.get("workspace_id", sandbox.world.default_workspace_id))
    settings = _settings(body)
    key, value = sandbox.account.create(name, workspace, sandbox.now())
    _apply(key, settings)
    return ExactJSON({"data": key_json(sandbox, key), "key": value}, 201)


async def get_key(request: Request) -> Response:
    sandbox = managed(request)
    return ExactJSON({"data": key_json(sandbox, _known(sandbox, request))})


async def update_key(request: Request) -> Response:
    sandbox = managed(request)
    key = _known(sandbox, request)
    body = await body_of(request)
    settings = _settings(body)
    if "workspace_id" in body:
        settings["workspace_id"] = _workspace(sandbox, body["workspace_id"])
    _apply(key, settings)
    key.updated_at = sandbox.now()
    return ExactJSON({"data": key_json(sandbox, key)})


async def delete_key(request: Request) -> Response:
    sandbox = managed(request)
    del sandbox.account.keys[_known(sandbox, request).hash]
    return ExactJSON({"deleted": True})


ROUTES = [
    Route("/key", current_key),
    Route("/keys", list_keys),
    Route("/keys", create_key, methods=["POST"]),
    Route("/keys/{hash}", get_key),
    Route("/keys/{hash}", update_key, methods=["PATCH"]),
    Route("/keys/{hash}", delete_key, methods=["DELETE"]),
]


def key_json(sandbox: Sandbox, key: KeyState) -> dict[str, Any]:
    """A key with its counters: all time, and the current UTC day, week (from Monday) and month."""
    now = sandbox.now()
    today = sandbox.today()
    starts = {
        "": FIRST_DAY,
        "_daily": today,
        "_weekly": today - timedelta(days=today.weekday()),
        "_monthly": today.replace(day=1),
    }
    spent = {suffix: sandbox.world.openrouter.spent(key.hash, start, now) for suffix, start in starts.items()}
    return {
        "hash": key.hash,
        "name": key.name,
        "label": key.label,
        "disabled": key.is_disabled(now),
        "limit": key.limit,
        "limit_remaining": _remaining(sandbox, key, starts),
        "limit_reset": key.limit_reset,
        "include_byok_in_limit": key.include_byok_in_limit,
        **{f"usage{suffix}": plain(each.usage_usd) for suffix, each in spent.items()},
        **{f"byok_usage{suffix}": plain(each.byok_usd) for suffix, each in spent.items()},
        "created_at": _microseconds(key.created_at),
        "updated_at": None if key.updated_at is None else _microseconds(key.updated_at),
        "expires_at": key.expires_at,
        "creator_user_id": key.creator_user_id,
        "workspace_id": key.workspace_id,
    }


def _remaining(sandbox: Sandbox, key: KeyState, starts: dict[str, date]) -> Decimal | None:
    if key.limit is None:
        return None
    spent = sandbox.world.openrouter.spent(
        key.hash, starts[f"_{key.limit_reset}" if key.limit_reset else ""], sandbox.now()
    )
    used = spent.usage_usd + (spent.byok_usd if key.include_byok_in_limit else 0)
    return plain(max(Decimal(0), key.limit - used))


def _microseconds(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="microseconds")


def _known(sandbox: Sandbox, request: Request) -> KeyState:
    key = sandbox.account.keys.get(request.path_params["hash"])
    if key is None:
        raise OpenRouterError(404, "API key not found")
    return key


def _workspace(sandbox: Sandbox, given: object) -> str:
    workspace = sandbox.account.workspace(given) if isinstance(given, str) else None
    if workspace is None:
        raise OpenRouterError(400, "Invalid request parameters: workspace_id")
    return workspace.id


def _settings(body: dict[str, Any]) -> dict[str, Any]:
    """The settable fields of a body, checked; `limit` arrives as an exact text or an integer."""
    settings: dict[str, Any] = {
        name: body[name]
        for name in (
            "name",
            "disabled",
            "limit",
            "limit_reset",
            "include_byok_in_limit",
            "expires_at",
            "creator_user_id",
        )
        if name in body
    }
    if settings.get("limit") is not None:
        settings["limit"] = _limit(settings["limit"])
    if settings.get("limit_reset") not in _RESETS:
        raise OpenRouterError(400, "Invalid request parameters: limit_reset")
    for name in ("disabled", "include_byok_in_limit"):
        if not isinstance(settings.get(name, False), bool):
            raise OpenRouterError(400, f"Invalid request parameters: {name}")
    expires = settings.get("expires_at")
    if expires is not None and not (isinstance(expires, str) and _UTC_WITH_SECONDS.fullmatch(expires)):
        raise OpenRouterError(400, "Invalid request parameters: expires_at")
    return settings


def _limit(given: object) -> Decimal:
    try:
        limit = Decimal(str(given))
    except InvalidOperation as exc:
        raise OpenRouterError(400, "Invalid request parameters: limit") from exc
    if isinstance(given, bool) or not limit.is_finite() or limit < 0:
        raise OpenRouterError(400, "Invalid request parameters: limit")
    return limit


def _apply(key: KeyState, settings: dict[str, Any]) -> None:
    for name, value in settings.items():
        setattr(key, name, value)
