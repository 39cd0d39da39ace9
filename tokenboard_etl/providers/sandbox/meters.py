"""How much is used when: a month's volume is drawn first, then divided into days, hours and minutes.

Dividing downwards with cumulative integer shares makes the parts add up exactly at every level, and makes
an all-time total cost one draw per month instead of one per day.
"""

from __future__ import annotations

import calendar
from array import array
from dataclasses import dataclass
from datetime import date

from tokenboard_etl.providers.sandbox.draws import draw_bytes

MINUTES_PER_DAY = 1440
FIRST_YEAR = 2024
_HOUR_WEIGHTS = (3, 2, 2, 2, 3, 4, 6, 9, 13, 16, 17, 16, 14, 16, 17, 17, 15, 13, 10, 9, 8, 7, 5, 4)
_ACTIVE_MINUTES = 4


@dataclass(frozen=True, slots=True)
class Meter:
    """One stream of requests. `weekend_percent`: Saturday against Wednesday; `idle` of 256 days are zero."""

    name: str
    monthly_requests: int
    growth_percent: int
    weekend_percent: int
    idle: int = 0
    first_day: date = date(FIRST_YEAR, 1, 1)
    last_day: date = date.max


@dataclass(frozen=True, slots=True)
class MonthVolume:
    """`until[n]` is the number of requests in the first n days of the month."""

    until: tuple[int, ...]

    @property
    def total(self) -> int:
        return self.until[-1]

    def on(self, day: date) -> int:
        return self.until[day.day] - self.until[day.day - 1]


class Readings:
    """Reads meters of one seed; months and profiles are pure functions of it, so they are remembered."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._months: dict[tuple[str, int, int], MonthVolume] = {}
        self._profiles: dict[str, array[int]] = {}

    def month(self, meter: Meter, year: int, month: int) -> MonthVolume:
        key = (meter.name, year, month)
        found = self._months.get(key)
        if found is None:
            found = self._months[key] = self._measure(meter, year, month)
        return found

    def on(self, meter: Meter, day: date) -> int:
        """Requests on a whole UTC day."""
        return self.month(meter, day.year, day.month).on(day)

    def until_minute(self, meter: Meter, requests: int, minute: int) -> int:
        """How many of a day's requests came before a minute of the day (0..1440)."""
        if minute >= MINUTES_PER_DAY:
            return requests
        profile = self._profiles.get(meter.name)
        if profile is None:
            profile = self._profiles[meter.name] = self._profile(meter.name)
        return requests * profile[minute] // profile[MINUTES_PER_DAY]

    def _measure(self, meter: Meter, year: int, month: int) -> MonthVolume:
        noise = draw_bytes(self._seed, "month", meter.name, year, month)
        length = calendar.monthrange(year, month)[1]
        weights = [_day_weight(meter, date(year, month, n), noise[n]) for n in range(1, length + 1)]
        full = sum(weights)
        alive = [
            weight if meter.first_day <= date(year, month, n) <= meter.last_day else 0
            for n, weight in enumerate(weights, 1)
        ]
        age = (year - FIRST_YEAR) * 12 + month - 1
        planned = meter.monthly_requests * (100 + meter.growth_percent * age) * (85 + noise[0] % 31) // 10_000
        until = [0]
        seen = 0
        for weight in alive:
            seen += weight
            until.append(planned * seen // full if full else 0)
        return MonthVolume(tuple(until))

    def _profile(self, name: str) -> array[int]:
        """Cumulative weight per minute: each hour has busy minutes; working hours differ by time zone."""
        noise = draw_bytes(self._seed, "profile", name)
        shift = noise[0] % 24
        profile = array("q", [0])
        for hour in range(24):
            weight = _HOUR_WEIGHTS[(hour + shift) % 24]
            first = noise[hour + 1] % 15
            busy = {first + 15 * n for n in range(_ACTIVE_MINUTES)}
            for minute in range(60):
                profile.append(profile[-1] + (weight if minute in busy else 0))
        return profile


def _day_weight(meter: Meter, day: date, noise: int) -> int:
    if noise < meter.idle:
        return 0
    base = meter.weekend_percent if day.weekday() >= 5 else 100
    return base * (80 + noise * 7 % 41)
