"""GET /organization/usage/*: completions and the nine other endpoints, in buckets of minutes, hours or days."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tokenboard_etl.providers.sandbox.openai_buckets import (
    DAY,
    BucketQuery,
    Report,
    Width,
    bucket_page,
    parse_query,
    values_of,
)
from tokenboard_etl.providers.sandbox.openai_http import OpenAIError, organization
from tokenboard_etl.providers.sandbox.openai_spend import CompletionRow, ToolRow
from tokenboard_etl.providers.sandbox.state import Sandbox, sandbox_of

_WIDTHS = {"1d": Width(DAY, 7, 31), "1h": Width(3600, 24, 168), "1m": Width(60, 60, 1440)}
_BY_PROJECT = ("project_id",)
_BY_KEY = (*_BY_PROJECT, "user_id", "api_key_id")
_BY_MODEL = (*_BY_KEY, "model")
_FILTERS = {"project_ids": "project_id", "user_ids": "user_id", "api_key_ids": "api_key_id", "models": "model"}
_COMPLETIONS = Report(_WIDTHS, (*_BY_MODEL, "batch", "service_tier", "api_source"), _FILTERS, clips_first_bucket=True)
_OTHERS: dict[str, tuple[str, tuple[str, ...], dict[str, str]]] = {
    "embeddings": ("embeddings", _BY_MODEL, {}),
    "moderations": ("moderations", _BY_MODEL, {}),
    "images": ("images", (*_BY_MODEL, "size", "source"), {"sizes": "size", "sources": "source"}),
    "audio_speeches": ("audio_speeches", _BY_MODEL, {}),
    "audio_transcriptions": ("audio_transcriptions", _BY_MODEL, {}),
    "vector_stores": ("vector_stores", _BY_PROJECT, {}),
    "code_interpreter_sessions": ("code_interpreter_sessions", _BY_PROJECT, {}),
    "file_search_calls": (
        "file_searches",
        (*_BY_KEY, "vector_store_id"),
        {"vector_store_ids": "vector_store_id"},
    ),
    "web_search_calls": (
        "web_searches",
        (*_BY_MODEL, "context_level", "api_source"),
        {"context_levels": "context_level"},
    ),
    "decisions": ("decisions", (*_BY_MODEL, "batch", "service_tier", "api_source"), {}),
}
Row = tuple[dict[str, object], dict[str, int]]


async def get_completions(request: Request) -> Response:
    return _usage(request, _COMPLETIONS, "completions", _completions)


def _other(endpoint: str) -> Callable[[Request], Awaitable[Response]]:
    name, dimensions, more = _OTHERS[endpoint]
    filters = {key: value for key, value in _FILTERS.items() if value in dimensions} | more
    report = Report(_WIDTHS, dimensions, filters, clips_first_bucket=True)

    async def get_usage(request: Request) -> Response:
        def rows(sandbox: Sandbox, org_id: str, query: BucketQuery, start: int, end: int) -> Iterable[Row]:
            day, first, last = _minutes(start, end)
            spend = sandbox.world.openai
            return map(_tool_row, spend.tools(org_id, endpoint, day.date(), query.now, first, last))

        return _usage(request, report, name, rows)

    return get_usage


ROUTES = [
    Route("/organization/usage/completions", get_completions),
    *(Route(f"/organization/usage/{endpoint}", _other(endpoint)) for endpoint in _OTHERS),
]


def _usage(
    request: Request,
    report: Report,
    name: str,
    rows: Callable[[Sandbox, str, BucketQuery, int, int], Iterable[Row]],
) -> Response:
    org_id = organization(request).org.id
    query = parse_query(request, report)
    batch = _batch(request)
    sandbox = sandbox_of(request)

    def results(start: int, end: int) -> list[dict[str, Any]]:
        sums: dict[tuple[object, ...], dict[str, int]] = {}
        for dimensions, measures in rows(sandbox, org_id, query, start, end):
            if not query.keeps(dimensions) or (batch is not None and dimensions.get("batch") is not batch):
                continue
            key = tuple(dimensions.get(each) if each in query.group_by else None for each in report.dimensions)
            total = sums.setdefault(key, dict.fromkeys(measures, 0))
            for measure, value in measures.items():
                total[measure] += value
        return [
            {"object": f"organization.usage.{name}.result", **total, **dict(zip(report.dimensions, key, strict=True))}
            for key, total in sums.items()
        ]

    return bucket_page(query, results)


def _batch(request: Request) -> bool | None:
    values = values_of(request.query_params, "batch")
    if not values:
        return None
    if values[0] not in ("true", "false"):
        raise OpenAIError(400, "Invalid type for 'batch': expected a boolean.", param="batch", code="invalid_type")
    return values[0] == "true"


def _minutes(start: int, end: int) -> tuple[datetime, int, int]:
    """The day a bucket lies in, and its minutes; a bucket never crosses midnight."""
    day = datetime.fromtimestamp(start, UTC).replace(hour=0, minute=0, second=0)
    midnight = int(day.timestamp())
    return day, (start - midnight) // 60, (end - midnight) // 60


def _completions(sandbox: Sandbox, org_id: str, query: BucketQuery, start: int, end: int) -> Iterable[Row]:
    day, first, last = _minutes(start, end)
    return map(_completion_row, sandbox.world.openai.completions(org_id, day.date(), query.now, first, last))


def _completion_row(row: CompletionRow) -> Row:
    return (
        {
            "project_id": row.project_id,
            "user_id": row.user_id,
            "api_key_id": row.api_key_id,
            "model": row.model,
            "batch": row.batch,
            "service_tier": row.service_tier,
            "api_source": "unlabeled",
        },
        _token_measures(row),
    )


def _token_measures(row: CompletionRow) -> dict[str, int]:
    return {
        "input_tokens": row.input_tokens,
        "input_cached_tokens": row.input_cached_tokens,
        "input_cache_write_tokens": row.cache_write,
        "input_uncached_tokens": row.input_uncached_tokens,
        "output_tokens": row.output_tokens,
        "input_text_tokens": row.input_text,
        "output_text_tokens": row.output_text,
        "input_cached_text_tokens": row.cached_text,
        "input_audio_tokens": row.input_audio,
        "input_cached_audio_tokens": row.cached_audio,
        "output_audio_tokens": row.output_audio,
        "input_image_tokens": row.input_image,
        "input_cached_image_tokens": 0,
        "output_image_tokens": 0,
        "num_model_requests": row.num_model_requests,
    }


def _tool_row(row: ToolRow) -> Row:
    dimensions: Mapping[str, object] = {
        "project_id": row.project_id,
        "user_id": row.user_id,
        "api_key_id": row.api_key_id,
        "model": row.model,
        "batch": False,
        "service_tier": "default",
        "api_source": "unlabeled",
    }
    return {**dimensions, **dict(row.dimensions)}, dict(row.measures)
