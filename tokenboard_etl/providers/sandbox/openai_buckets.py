"""The frame of costs and usage: time buckets, grouping, filters, and cursors bound to one exact query."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from tokenboard_etl.providers.sandbox.exact_json import ExactJSON
from tokenboard_etl.providers.sandbox.openai_http import OpenAIError, integer, now_of

DAY = 86_400
LOOKBACK_DAYS = 365
KEY_FLOOR = 1_764_979_200
"""2025-12-06: costs by API key are refused for any start before it."""


@dataclass(frozen=True, slots=True)
class Width:
    """A bucket width with the number of buckets a page holds by default and at most."""

    seconds: int
    default: int
    maximum: int


@dataclass(frozen=True, slots=True)
class Report:
    """What a report accepts: widths, dimensions to group by, and filters (parameter to dimension)."""

    widths: Mapping[str, Width]
    dimensions: tuple[str, ...]
    filters: Mapping[str, str]
    clips_first_bucket: bool


@dataclass(frozen=True, slots=True)
class BucketQuery:
    """A validated query. `starts` are the aligned starts of all buckets; `offset` is where this page begins."""

    starts: range
    requested_start: int
    width: Width
    limit: int
    group_by: frozenset[str]
    filters: Mapping[str, frozenset[str]]
    digest: str
    offset: int
    now: datetime

    def keeps(self, dimensions: Mapping[str, object]) -> bool:
        """Whether a row with these dimension values passes every filter."""
        return all(dimensions.get(name) in wanted for name, wanted in self.filters.items())


def values_of(params: QueryParams, name: str) -> list[str]:
    """An array parameter, which clients send as `name=` or as `name[]=`, repeated."""
    return [*params.getlist(name), *params.getlist(f"{name}[]")]


def parse_query(request: Request, report: Report) -> BucketQuery:
    params = request.query_params
    now = now_of(request)
    widths = report.widths
    width_name = params.get("bucket_width", "1d")
    if width_name not in widths:
        supported = ", ".join(f"'{name}'" for name in widths)
        raise OpenAIError(
            400, f"Invalid value: '{width_name}'. Supported values are: {supported}", param="bucket_width"
        )
    width = widths[width_name]
    group_by = values_of(params, "group_by")
    for name in group_by:
        if name not in report.dimensions:
            allowed = ", ".join(f"'{each}'" for each in report.dimensions)
            raise OpenAIError(400, f"Invalid value: '{name}'. Supported values are: {allowed}", param="group_by")
    filters = {
        dimension: frozenset(values)
        for name, dimension in report.filters.items()
        if (values := values_of(params, name))
    }
    start, end = _window(params, now)
    first = start - start % width.seconds
    digest = _digest(params)
    return BucketQuery(
        starts=range(first, min(end, int(now.timestamp())), width.seconds),
        requested_start=start if report.clips_first_bucket else first,
        width=width,
        limit=integer(request, "limit", width.default, 1, width.maximum),
        group_by=frozenset(group_by),
        filters=filters,
        digest=digest,
        offset=_offset(params.get("page"), digest),
        now=now,
    )


def bucket_page(
    query: BucketQuery, results: Callable[[int, int], list[dict[str, Any]]], *, lingering: bool = False
) -> Response:
    """One page of buckets. A lingering cursor leads past the last bucket, for ever, to pages without data."""
    buckets = []
    for start in query.starts[query.offset : query.offset + query.limit]:
        begin, end = max(start, query.requested_start), start + query.width.seconds
        buckets.append(
            {
                "object": "bucket",
                "start_time": begin,
                "end_time": end,
                "start_time_iso": datetime.fromtimestamp(begin, UTC).isoformat(),
                "end_time_iso": datetime.fromtimestamp(end, UTC).isoformat(),
                "results": results(begin, end),
            }
        )
    following = query.offset + query.limit
    more = following < len(query.starts) or lingering
    return ExactJSON(
        {
            "object": "page",
            "data": buckets,
            "has_more": more,
            "next_page": _token(min(following, len(query.starts)), query.digest) if more else None,
        }
    )


def _window(params: QueryParams, now: datetime) -> tuple[int, int]:
    if "start_time" not in params:
        raise OpenAIError(400, "Missing required parameter: 'start_time'.")
    start = _seconds(params, "start_time", 0)
    end = _seconds(params, "end_time", int(now.timestamp()) + 1)
    earliest = now.astimezone(UTC).date() - timedelta(days=LOOKBACK_DAYS)
    if datetime.fromtimestamp(start, UTC).date() < earliest:
        raise OpenAIError(
            400,
            "Usage and cost data are available for the past year. "
            f"Earliest supported start date: {earliest.isoformat()} (UTC).",
            param="start_time",
            code="reporting_lookback_exceeded",
        )
    if end <= start and "end_time" in params:
        raise OpenAIError(400, "Invalid request. end_time must be after start_time.", param="end_time")
    return start, end


def _seconds(params: QueryParams, name: str, default: int) -> int:
    raw = params.get(name)
    if raw is None:
        return default
    if not raw.isdigit() or len(raw) > 11:
        raise OpenAIError(400, f"Invalid type for '{name}': expected Unix seconds.", param=name, code="invalid_type")
    return int(raw)


def _digest(params: QueryParams) -> str:
    exact = sorted((name.removesuffix("[]"), value) for name, value in params.multi_items() if name != "page")
    return blake2b(json.dumps(exact).encode(), digest_size=9).hexdigest()


def _token(offset: int, digest: str) -> str:
    return "page_" + base64.urlsafe_b64encode(f"{offset}:{digest}".encode()).decode()


def _offset(token: str | None, digest: str) -> int:
    if not token:
        return 0
    try:
        offset, _, bound = base64.urlsafe_b64decode(token.removeprefix("page_")).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as exc:
        raise OpenAIError(400, "Invalid page token.", param="page") from exc
    if bound != digest or not offset.isdigit():
        raise OpenAIError(400, "The page token does not belong to this query.", param="page")
    return int(offset)
