"""OpenAI's usage of completions minute by minute, by everything a price and a tenant depend on."""

from __future__ import annotations

from datetime import datetime

from tokenboard_etl.providers.openai import CompletionsRow
from tokenboard_etl.providers.openai_buckets import MINUTE, BucketPage, BucketReport, BucketRow, walk
from tokenboard_etl.providers.wire import Fetch

MINUTES_BY = ("project_id", "model", "api_key_id", "batch", "service_tier")


class MinuteRow(CompletionsRow, BucketRow):
    """What the daily report says, of one minute."""


async def completions(fetch: Fetch, start: datetime, end: datetime) -> None:
    """Reads the minutes from `start` (included) to `end` (excluded), both whole minutes, to the last page."""
    report = BucketReport(
        "/organization/usage/completions", BucketPage[MinuteRow], MINUTES_BY, MINUTE.page_buckets, MINUTE
    )
    await walk(fetch, report, int(start.timestamp()), int(end.timestamp()))
