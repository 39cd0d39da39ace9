"""What is read of the running day, every five minutes. No day is confirmed by it, and no bill rests on it."""

from __future__ import annotations

from datetime import datetime, timedelta

from tokenboard_etl.extraction.reports import Days, Reading, Report
from tokenboard_etl.periods import ONE_DAY, start_of, utc_day
from tokenboard_etl.providers import openai_minutes, openrouter

OVERLAP = timedelta(minutes=60)
"""For so long a minute is read again. No provider says how late usage arrives; an hour more is no further request,
because one page holds a day of minutes."""


def minutes_to_read(began_at: datetime, previous: datetime | None) -> tuple[datetime, datetime]:
    """The whole minutes a read that began at `began_at` asks for, `previous` being the start of the one before.

    The first read begins at 00:00 UTC of the day its overlap reaches into, so that no day is there in part. After a
    long pause no read goes further back than yesterday: the days before have their real cost, or wait for it.
    """
    end = began_at.replace(second=0, microsecond=0)
    if previous is None:
        return start_of(utc_day(began_at - OVERLAP)), end
    start = min(previous, began_at).replace(second=0, microsecond=0) - OVERLAP
    return max(start, start_of(utc_day(began_at) - ONE_DAY)), end


async def _completions_minutes(reading: Reading) -> Days:
    previous = reading.previous.started_at if reading.previous else None
    await openai_minutes.completions(reading.fetch, *minutes_to_read(reading.began_at, previous))
    return None


async def _key_readings(reading: Reading) -> Days:
    await openrouter.keys(reading.fetch)
    return None


LIVE = (
    Report("openai", "completions_minutes", _completions_minutes, is_snapshot=True, reads_on=True),
    Report("openrouter", "key_readings", _key_readings, is_snapshot=True),
)
"""The reports of the running day; no part of a night."""
