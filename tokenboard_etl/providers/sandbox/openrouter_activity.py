"""GET /activity: the last 30 completed UTC days per model endpoint, in one answer and without keys."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tokenboard_etl.providers.sandbox.amounts import EXACT, plain
from tokenboard_etl.providers.sandbox.exact_json import ExactJSON
from tokenboard_etl.providers.sandbox.openrouter_http import OpenRouterError, managed
from tokenboard_etl.providers.sandbox.router_spend import SpendRow
from tokenboard_etl.providers.sandbox.state import Sandbox

HORIZON_DAYS = 30
_COUNTS = ("requests", "prompt_tokens", "completion_tokens", "reasoning_tokens", "cached_tokens")


async def activity(request: Request) -> Response:
    sandbox = managed(request)
    by_workspace = request.query_params.get("group_by") == "workspace"
    sums: dict[tuple[str, ...], dict[str, Any]] = {}
    for day in _days(request, sandbox):
        for row in _rows(request, sandbox, day):
            item = sums.setdefault(_key(row, by_workspace), _empty(row, by_workspace))
            item["usage"] = EXACT.add(item["usage"], row.usage_usd)
            item["byok_usage_inference"] = EXACT.add(item["byok_usage_inference"], row.byok_usd)
            item["byok_requests"] += row.requests if row.is_byok else 0
            for name in _COUNTS:
                item[name] += getattr(row, name)
    for item in sums.values():
        item["usage"] = plain(item["usage"])
        item["byok_usage_inference"] = plain(item["byok_usage_inference"])
    return ExactJSON({"data": list(sums.values())})


ROUTES = [Route("/activity", activity)]


def _days(request: Request, sandbox: Sandbox) -> list[date]:
    """All days of the horizon, newest first, or the one asked for."""
    horizon = [sandbox.today() - timedelta(days=n) for n in range(1, HORIZON_DAYS + 1)]
    asked = request.query_params.get("date")
    if asked is None:
        return horizon
    try:
        day = date.fromisoformat(asked)
    except ValueError as exc:
        raise OpenRouterError(400, "Date must be in YYYY-MM-DD format") from exc
    if day not in horizon:
        raise OpenRouterError(400, f"Date must be within the last {HORIZON_DAYS} (completed) UTC days")
    return [day]


def _rows(request: Request, sandbox: Sandbox, day: date) -> Iterator[SpendRow]:
    key_hash = request.query_params.get("api_key_hash")
    workspace = request.query_params.get("workspace_id")
    for row in sandbox.world.openrouter.rows(day, sandbox.now(), key_hash):
        if workspace in (None, row.workspace_id):
            yield row


def _key(row: SpendRow, by_workspace: bool) -> tuple[str, ...]:
    identity = (row.usage_date.isoformat(), row.endpoint_id, row.model_permaslug, row.provider_name)
    return (*identity, row.workspace_id) if by_workspace else identity


def _empty(row: SpendRow, by_workspace: bool) -> dict[str, Any]:
    return {
        "date": f"{row.usage_date.isoformat()} 00:00:00",
        "model": row.model,
        "model_permaslug": row.model_permaslug,
        "endpoint_id": row.endpoint_id,
        "provider_name": row.provider_name,
        "usage": Decimal(0),
        "byok_usage_inference": Decimal(0),
        "byok_requests": 0,
        **dict.fromkeys(_COUNTS, 0),
        **({"workspace_id": row.workspace_id} if by_workspace else {}),
    }
