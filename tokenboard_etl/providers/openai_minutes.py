"""OpenAI's usage of completions minute by minute, by everything a price and a tenant depend on."""

from __future__ import annotations

from datetime import datetime

from tokenboard_etl.providers.openai_buckets import MINUTE, BucketPage, BucketReport, walk
from tokenboard_etl.providers.openai_usage import CompletionsRow
from tokenboard_etl.providers.wire import Fetch

MINUTES_BY = ("project_id", "model", "api_key_id", "batch", "service_tier")


async def completions(fetch: Fetch, start: datetime, end: datetime) -> None:
    """Reads the minutes from `start` (included) to `end` (excluded), both whole minutes, to the last page."""
    report = BucketReport(
        "/organization/usage/completions", BucketPage[CompletionsRow], MINUTES_BY, MINUTE.page_buckets, MINUTE
    )
    await walk(fetch, report, int(start.timestamp()), int(end.timestamp()))
