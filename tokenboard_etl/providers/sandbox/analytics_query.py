"""A checked analytics query: metrics, at most two dimensions, a window, and filters by id."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from tokenboard_etl.providers.sandbox.openrouter_http import OpenRouterError
from tokenboard_etl.providers.sandbox.router_spend import SpendRow

GRANULARITIES = ("day", "week", "month")
OPERATORS = {"eq": "scalar", "neq": "scalar", "in": "array", "not_in": "array"}
MONEY: Mapping[str, Callable[[SpendRow], Decimal]] = {
    "credits_usage": lambda row: row.usage_usd,
    "byok_usage": lambda row: row.byok_usd,
    "total_usage": lambda row: row.usage_usd + row.byok_usd,
    "openrouter_usage": lambda row: Decimal(0) if row.is_byok else row.usage_usd,
    "byok_fees": lambda row: row.usage_usd if row.is_byok else Decimal(0),
}
COUNTS: Mapping[str, Callable[[SpendRow], int]] = {
    "request_count": lambda row: row.requests,
    "tokens_prompt": lambda row: row.prompt_tokens,
    "tokens_completion": lambda row: row.completion_tokens,
    "tokens_total": lambda row: row.prompt_tokens + row.completion_tokens,
    "reasoning_tokens": lambda row: row.reasoning_tokens,
    "cached_tokens": lambda row: row.cached_tokens,
}
FIELDS: Mapping[str, Callable[[SpendRow], str | None]] = {
    "api_key_id": lambda row: row.key_hash,
    "model": lambda row: row.model_permaslug,
    "workspace": lambda row: row.workspace_id,
    "provider": lambda row: row.provider_name,
}
_MONTH_ONLY = frozenset({"openrouter_usage", "byok_fees", "provider"})
_LONG_DAYS, _SHORT_DAYS = 365, 31
_MAX_DIMENSIONS, _MAX_FILTERS, _MAX_LIMIT = 2, 20, 10_000


@dataclass(frozen=True, slots=True)
class Filter:
    """Values are ids: a key's hash, a model's permaslug, a workspace's UUID."""

    field: str
    values: frozenset[str]
    keeps_matches: bool

    def keeps(self, row: SpendRow) -> bool:
        return (FIELDS[self.field](row) in self.values) is self.keeps_matches


@dataclass(frozen=True, slots=True)
class AnalyticsQuery:
    """Days from `first` to `last`, both included."""

    metrics: tuple[str, ...]
    dimensions: tuple[str, ...]
    granularity: str | None
    first: date
    last: date
    filters: tuple[Filter, ...]
    limit: int
    order_by: tuple[str, bool] | None


def parse_analytics(body: dict[str, Any], today: date) -> AnalyticsQuery:
    """Raises the 400 the provider gives for what it does not accept."""
    metrics = _names(body, "metrics", (*MONEY, *COUNTS))
    dimensions = _names(body, "dimensions", tuple(FIELDS))
    if not metrics:
        raise OpenRouterError(400, "At least one metric is required")
    if len(dimensions) > _MAX_DIMENSIONS:
        raise OpenRouterError(400, f"At most {_MAX_DIMENSIONS} dimensions are allowed")
    granularity = body.get("granularity")
    if granularity is not None and granularity not in GRANULARITIES:
        raise OpenRouterError(400, f"Invalid granularity; supported: {', '.join(GRANULARITIES)}")
    limit = body.get("limit", 1_000)
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= _MAX_LIMIT:
        raise OpenRouterError(400, f"limit must be between 1 and {_MAX_LIMIT}")
    first, last = _window(body, today)
    _refuse_long_window(first, last, today, {*metrics, *dimensions})
    return AnalyticsQuery(
        metrics, dimensions, granularity, first, last, _filters(body), limit, _order(body, metrics, dimensions)
    )


def _names(body: dict[str, Any], name: str, known: tuple[str, ...]) -> tuple[str, ...]:
    given = body.get(name, [])
    if not isinstance(given, list):
        raise OpenRouterError(400, f"{name} must be an array")
    for each in given:
        if each not in known:
            raise OpenRouterError(400, f"Unknown value in {name}; supported: {', '.join(known)}")
    return tuple(given)


def _window(body: dict[str, Any], today: date) -> tuple[date, date]:
    given = body.get("time_range")
    if given is None:
        return today - timedelta(days=7), today
    try:
        start, end = (datetime.fromisoformat(given[name]) for name in ("start", "end"))
    except (KeyError, TypeError, ValueError) as exc:
        raise OpenRouterError(400, "time_range needs start and end in ISO 8601") from exc
    if start.tzinfo is None or end.tzinfo is None or start >= end:
        raise OpenRouterError(400, "time_range must have a UTC offset and end after it starts")
    return start.astimezone(UTC).date(), (end - timedelta(microseconds=1)).astimezone(UTC).date()


def _refuse_long_window(first: date, last: date, today: date, asked: set[str]) -> None:
    days = _SHORT_DAYS if asked & _MONTH_ONLY else _LONG_DAYS
    if (last - first).days >= days or first < today - timedelta(days=days):
        raise OpenRouterError(400, f"Time range is limited to the last {days} days for this query")


def _filters(body: dict[str, Any]) -> tuple[Filter, ...]:
    given = body.get("filters", [])
    if not isinstance(given, list) or len(given) > _MAX_FILTERS:
        raise OpenRouterError(400, f"filters must be an array of at most {_MAX_FILTERS}")
    return tuple(_filter(each) for each in given)


def _filter(given: object) -> Filter:
    if not isinstance(given, dict) or given.get("field") not in FIELDS or given.get("operator") not in OPERATORS:
        raise OpenRouterError(400, "Invalid filter")
    value, operator = given.get("value"), given["operator"]
    if (OPERATORS[operator] == "array") is not isinstance(value, list):
        raise OpenRouterError(400, f"Operator {operator} takes a value of type {OPERATORS[operator]}")
    values = value if isinstance(value, list) else [value]
    return Filter(given["field"], frozenset(map(str, values)), operator in ("eq", "in"))


def _order(body: dict[str, Any], metrics: tuple[str, ...], dimensions: tuple[str, ...]) -> tuple[str, bool] | None:
    """The field to sort by and whether it descends."""
    given = body.get("order_by")
    if given is None:
        return None
    if not isinstance(given, dict) or given.get("direction") not in ("asc", "desc"):
        raise OpenRouterError(400, "Invalid order_by")
    field = given.get("field")
    if not isinstance(field, str) or field not in (*metrics, *dimensions, "date"):
        raise OpenRouterError(400, "order_by must name a requested metric or dimension, or date")
    return field, given["direction"] == "desc"
