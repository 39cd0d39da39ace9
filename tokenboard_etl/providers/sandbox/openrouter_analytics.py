"""POST /analytics/query and GET /analytics/meta: counts as text, names instead of ids, 64 queries a minute."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tokenboard_etl.providers.sandbox.amounts import EXACT, plain
from tokenboard_etl.providers.sandbox.analytics_query import (
    COUNTS,
    FIELDS,
    GRANULARITIES,
    MONEY,
    OPERATORS,
    AnalyticsQuery,
    Filter,
    parse_analytics,
)
from tokenboard_etl.providers.sandbox.exact_json import ExactJSON
from tokenboard_etl.providers.sandbox.openrouter_http import OpenRouterError, body_of, managed
from tokenboard_etl.providers.sandbox.router_spend import SpendRow
from tokenboard_etl.providers.sandbox.state import Sandbox

_WINDOW_SECONDS = 60


async def meta(request: Request) -> Response:
    managed(request)
    metrics = [(name, "currency") for name in MONEY] + [(name, "number") for name in COUNTS]
    return ExactJSON(
        {
            "data": {
                "metrics": [
                    {"name": name, "display_label": _label(name), "display_format": form, "is_rate": False}
                    for name, form in metrics
                ],
                "dimensions": [{"name": name, "display_label": _label(name)} for name in FIELDS],
                "operators": [{"name": name, "value_type": kind} for name, kind in OPERATORS.items()],
                "granularities": [{"name": name, "display_label": _label(name)} for name in GRANULARITIES],
            }
        }
    )


async def query(request: Request) -> Response:
    sandbox = managed(request)
    _throttle(sandbox)
    asked = parse_analytics(await body_of(request), sandbox.today())
    if sandbox.analytics_include_end:
        asked = replace(asked, last=asked.last + timedelta(days=1))
    rows = _ordered(asked, _sums(sandbox, asked))
    answer: dict[str, Any] = {
        "data": [_wire(asked, key, total) for key, total in rows[: asked.limit]],
        "metadata": {
            "query_time_ms": 12,
            "row_count": min(len(rows), asked.limit),
            "truncated": len(rows) > asked.limit,
        },
    }
    if warnings := _warnings(sandbox, asked):
        answer["warnings"] = warnings
    return ExactJSON({"data": answer})


ROUTES = [Route("/analytics/meta", meta), Route("/analytics/query", query, methods=["POST"])]

Key = tuple[str | None, ...]
Total = dict[str, Decimal]


def _throttle(sandbox: Sandbox) -> None:
    """A sliding minute of the machine's clock: clients wait in real time, whatever time the sandbox plays."""
    limit = sandbox.analytics_per_minute
    if limit is None:
        return
    recent = sandbox.analytics_queries
    now = time.monotonic()
    while recent and now - recent[0] >= _WINDOW_SECONDS:
        recent.popleft()
    if len(recent) >= limit:
        wait = str(max(1, int(recent[0] + _WINDOW_SECONDS - now) + 1)) if recent else "60"
        raise OpenRouterError(429, "Rate limit exceeded", headers={"Retry-After": wait})
    recent.append(now)


def _sums(sandbox: Sandbox, asked: AnalyticsQuery) -> dict[Key, Total]:
    sums: dict[Key, Total] = {}
    for row in _rows(sandbox, asked):
        key = (_bucket(asked.granularity, row.usage_date), *(_named(sandbox, row, each) for each in asked.dimensions))
        total = sums.setdefault(key, {name: Decimal(0) for name in asked.metrics})
        for name in asked.metrics:
            value = MONEY[name](row) if name in MONEY else Decimal(COUNTS[name](row))
            total[name] = EXACT.add(total[name], value)
    return sums


def _rows(sandbox: Sandbox, asked: AnalyticsQuery) -> Iterator[SpendRow]:
    for number in range((asked.last - asked.first).days + 1):
        for row in sandbox.world.openrouter.rows(asked.first + timedelta(days=number), sandbox.now()):
            known = row.key_hash in sandbox.account.keys
            if all(each.keeps(row) and (known or not _wants_key(each)) for each in asked.filters):
                yield row


def _wants_key(each: Filter) -> bool:
    """A deleted key's hash cannot be resolved any more, so a filter for it finds nothing."""
    return each.field == "api_key_id" and each.keeps_matches


def _bucket(granularity: str | None, day: date) -> str | None:
    if granularity is None:
        return None
    start = {"day": day, "week": day - timedelta(days=day.weekday()), "month": day.replace(day=1)}[granularity]
    return f"{start.isoformat()}T00:00:00.000Z"


def _named(sandbox: Sandbox, row: SpendRow, dimension: str) -> str | None:
    """What the answer shows for a dimension: names of keys and workspaces, slugs of models. Equal names merge."""
    if dimension == "api_key_id":
        key = sandbox.account.keys.get(row.key_hash or "")
        return key.name if key else None
    if dimension == "workspace":
        workspace = sandbox.account.workspace(row.workspace_id)
        return workspace.name if workspace else None
    return row.model if dimension == "model" else FIELDS[dimension](row)


def _ordered(asked: AnalyticsQuery, sums: dict[Key, Total]) -> list[tuple[Key, Total]]:
    rows = sorted(sums.items(), key=lambda item: tuple(part or "" for part in item[0]))
    if asked.order_by is not None:
        field, descending = asked.order_by
        names = ("date", *asked.dimensions)
        if field in asked.metrics:
            rows.sort(key=lambda item: item[1][field], reverse=descending)
        else:
            rows.sort(key=lambda item: item[0][names.index(field)] or "", reverse=descending)
    return rows


def _wire(asked: AnalyticsQuery, key: Key, total: Total) -> dict[str, Any]:
    row: dict[str, Any] = {} if asked.granularity is None else {f"date__{asked.granularity}": key[0]}
    row.update(zip(asked.dimensions, key[1:], strict=True))
    for name, value in total.items():
        if name in COUNTS:
            row[name] = str(int(value))
        else:
            row[name] = plain(value) if value else None
    return row


def _warnings(sandbox: Sandbox, asked: AnalyticsQuery) -> list[str]:
    return [
        f"api_key_id filter value could not be resolved: {value}"
        for each in asked.filters
        if each.field == "api_key_id"
        for value in sorted(each.values - sandbox.account.keys.keys())
    ]


def _label(name: str) -> str:
    return name.replace("_", " ").capitalize()
