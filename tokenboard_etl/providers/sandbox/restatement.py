"""How a day's figures change after the day: incomplete at first, corrected for a while, then final.

OpenAI publishes no schedule; late changes for up to four days are what a careful client must survive.
OpenRouter's figures are late by less and only grow.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

OPENAI_SETTLES_AFTER = timedelta(hours=96)
OPENROUTER_SETTLES_AFTER = timedelta(hours=48)
VANISHES_AFTER = timedelta(hours=48)
ZEROED_AFTER = timedelta(hours=60)
ZEROED_DAY_OF_MONTH = 12
WHOLE = 10_000
_DAY = timedelta(days=1)
_HOUR = timedelta(hours=1)


def age_of(day: date, seen_at: datetime) -> timedelta:
    """Time since the day's end; negative while the day goes on."""
    return seen_at - (datetime.combine(day, time(), UTC) + _DAY)


def minutes_into(day: date, seen_at: datetime) -> int:
    """Whole minutes of the day that have passed, 0..1440."""
    passed = seen_at - datetime.combine(day, time(), UTC)
    return max(0, min(1440, passed // timedelta(minutes=1)))


def openai_share(bits: int, age: timedelta) -> int:
    """The part of a row's final amount that is visible, in 1/10000. One row in twenty appears late.

    Never falls. First 70-90 %; from 8..37 hours on, all of it or 97 %; from at most 95 hours on, all of it.
    """
    if age >= OPENAI_SETTLES_AFTER:
        return WHOLE
    if age >= _HOUR * (40 + (bits >> 40) % 56):
        return WHOLE
    if age >= _HOUR * (8 + (bits >> 16) % 30):
        return 9_700 + bits % 290 if (bits >> 8) % 3 == 0 else WHOLE
    return _during_the_day(0 if (bits >> 24) % 20 == 0 else 7_000 + bits % 2_001, age)


def openrouter_share(bits: int, age: timedelta) -> int:
    """As above for OpenRouter: 94-100 % at the end of the day, complete within 48 hours, never falling."""
    if age >= OPENROUTER_SETTLES_AFTER or age >= _HOUR * (6 + (bits >> 16) % 42):
        return WHOLE
    return 9_400 + bits % 601


def _during_the_day(share: int, age: timedelta) -> int:
    if age >= timedelta(0):
        return share
    passed = max(timedelta(0), age + _DAY) // timedelta(minutes=1)
    return share * passed // 1440
