"""OpenAI's usage: quantities that explain the costs, in buckets of days, hours or minutes. No money here.

| report | endpoint | grain beside time and project |
|---|---|---|
| completions | GET /organization/usage/completions | model x API key x user x batch x service tier |
| decisions | .../decisions | the same |
| embeddings, moderations, audio_speeches, audio_transcriptions | .../<name> | model x API key x user |
| images | .../images | the same x size x source |
| file_search_calls | .../file_search_calls | API key x user x vector store; `object` says `file_searches` |
| web_search_calls | .../web_search_calls | model x API key x user x context level; `object` says `web_searches` |
| vector_stores, code_interpreter_sessions | .../<name> | nothing more |

In the specification all endpoints share one answer, whose rows are told apart by `object` alone; so a row with the
`object` of another endpoint is refused, not read as something it is not. How far back usage reaches differs from
endpoint to endpoint; the provider names the first day it still has.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from datetime import date
from typing import Any, Literal

from pydantic import AliasChoices, Field

from tokenboard_etl.errors import ProviderRejected
from tokenboard_etl.periods import Window, parse_day
from tokenboard_etl.providers.openai_buckets import DAY, BucketPage, BucketReport, BucketRow, Row, Width, walk_days
from tokenboard_etl.providers.wire import Fetch

log = logging.getLogger("tokenboard.openai")

BY_PROJECT = ("project_id",)
BY_KEY = (*BY_PROJECT, "user_id", "api_key_id")
BY_MODEL = (*BY_KEY, "model")
COMPLETIONS_BY = ("project_id", "model", "api_key_id", "user_id", "batch", "service_tier")


class UsageRow(BucketRow):
    """Dimensions are null where they were not asked for, and may be where the provider does not know."""

    project_id: str | None = None
    user_id: str | None = None
    api_key_id: str | None = None
    model: str | None = None


class TokenRow(UsageRow):
    """Of the counts only three are always there. `input_tokens` holds all other kinds of input."""

    input_tokens: int
    output_tokens: int
    num_model_requests: int
    input_cached_tokens: int | None = None
    input_cache_write_tokens: int | None = None
    input_uncached_tokens: int | None = None
    input_text_tokens: int | None = None
    output_text_tokens: int | None = None
    input_cached_text_tokens: int | None = None
    input_audio_tokens: int | None = None
    input_cached_audio_tokens: int | None = None
    output_audio_tokens: int | None = None
    input_image_tokens: int | None = None
    input_cached_image_tokens: int | None = None
    output_image_tokens: int | None = None
    batch: bool | None = None
    service_tier: str | None = None


class CompletionsRow(TokenRow):
    pass


class DecisionsRow(TokenRow):
    object: Literal["organization.usage.decisions.result"]


class EmbeddingsRow(UsageRow):
    object: Literal["organization.usage.embeddings.result"]
    input_tokens: int
    num_model_requests: int


class ModerationsRow(UsageRow):
    object: Literal["organization.usage.moderations.result"]
    input_tokens: int
    num_model_requests: int


class ImagesRow(UsageRow):
    object: Literal["organization.usage.images.result"]
    images: int
    num_model_requests: int
    size: str | None = None
    source: str | None = None


class SpeechesRow(UsageRow):
    object: Literal["organization.usage.audio_speeches.result"]
    characters: int
    num_model_requests: int


class TranscriptionsRow(UsageRow):
    object: Literal["organization.usage.audio_transcriptions.result"]
    seconds: int
    num_model_requests: int


class VectorStoresRow(UsageRow):
    object: Literal["organization.usage.vector_stores.result"]
    usage_bytes: int


class SessionsRow(UsageRow):
    """Older versions of the specification say `sessions`."""

    object: Literal["organization.usage.code_interpreter_sessions.result"]
    num_sessions: int = Field(validation_alias=AliasChoices("num_sessions", "sessions"))


class FileSearchesRow(UsageRow):
    object: Literal["organization.usage.file_searches.result"]
    num_requests: int
    vector_store_id: str | None = None


class WebSearchesRow(UsageRow):
    object: Literal["organization.usage.web_searches.result"]
    num_requests: int
    num_model_requests: int
    context_level: str | None = None


def _other(endpoint: str, page: type[BucketPage[Row]], group_by: tuple[str, ...]) -> BucketReport[Row]:
    path = f"/organization/usage/{endpoint}"
    return BucketReport(path, page, group_by, DAY.page_buckets, missing_is_outage=False)


OTHER_USAGE: Mapping[str, BucketReport[Any]] = {
    "embeddings": _other("embeddings", BucketPage[EmbeddingsRow], BY_MODEL),
    "moderations": _other("moderations", BucketPage[ModerationsRow], BY_MODEL),
    "images": _other("images", BucketPage[ImagesRow], (*BY_MODEL, "size", "source")),
    "audio_speeches": _other("audio_speeches", BucketPage[SpeechesRow], BY_MODEL),
    "audio_transcriptions": _other("audio_transcriptions", BucketPage[TranscriptionsRow], BY_MODEL),
    "vector_stores": _other("vector_stores", BucketPage[VectorStoresRow], BY_PROJECT),
    "code_interpreter_sessions": _other("code_interpreter_sessions", BucketPage[SessionsRow], BY_PROJECT),
    "file_search_calls": _other("file_search_calls", BucketPage[FileSearchesRow], (*BY_KEY, "vector_store_id")),
    "web_search_calls": _other("web_search_calls", BucketPage[WebSearchesRow], (*BY_MODEL, "context_level")),
    "decisions": _other("decisions", BucketPage[DecisionsRow], COMPLETIONS_BY),
}
"""The daily reports beside completions, by the last part of their path; not every organization has all of them."""


def completions_report(width: Width = DAY) -> BucketReport[CompletionsRow]:
    """Completions in buckets of a width, by every dimension a price depends on."""
    page = BucketPage[CompletionsRow]
    return BucketReport("/organization/usage/completions", page, COMPLETIONS_BY, width.page_buckets, width)


async def completions(fetch: Fetch, window: Window) -> frozenset[date]:
    """Token usage of chat completions and responses. Returns the days the provider confirmed."""
    return await _walk_what_is_kept(fetch, completions_report(), window)


async def other_usage(fetch: Fetch, endpoint: str, window: Window) -> frozenset[date]:
    """Usage of one of OTHER_USAGE. Raises ProviderRejected (404) where the organization has no such endpoint."""
    return await _walk_what_is_kept(fetch, OTHER_USAGE[endpoint], window)


def first_day_kept(refusal: ProviderRejected) -> date | None:
    """The first day there is, when the provider objected that the window begins before it."""
    found = re.search(r"Earliest supported start date: (\d{4}-\d{2}-\d{2})", refusal.detail)
    return parse_day(found[1]) if found else None


async def _walk_what_is_kept(fetch: Fetch, report: BucketReport[Any], window: Window) -> frozenset[date]:
    """Days before the first one the provider still has are left out: they are missing, not zero."""
    try:
        return await walk_days(fetch, report, window)
    except ProviderRejected as refusal:
        first = first_day_kept(refusal)
        if first is None or first <= window.start:
            raise
    log.warning("openai %s has nothing before %s any more; earlier days stay missing", report.path, first)
    return await walk_days(fetch, report, Window(first, window.end)) if first < window.end else frozenset()
