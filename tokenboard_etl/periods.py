"""UTC days, half-open windows and billing months. No naive datetime passes through here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from tokenboard_etl.errors import WrongUse, shown

ONE_DAY = timedelta(days=1)
FIRST_DAY = date(2024, 1, 1)
"""Partitions start here. No provider reports further back than a year."""


def utc_day(instant: datetime) -> date:
    """The UTC calendar day an aware instant falls on."""
    if instant.tzinfo is None:
        raise ValueError("a naive datetime has no UTC day")
    return instant.astimezone(UTC).date()


def parse_day(text: str) -> date:
    """A day as 2026-11-20 and in no other form; raises WrongUse."""
    try:
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
            return date.fromisoformat(text)
    except ValueError:  # the 30th of February
        pass
    raise WrongUse(f"{shown(text)} is not a date; write it as 2026-11-20.")


def start_of(day: date) -> datetime:
    """00:00 UTC of a day."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


@dataclass(frozen=True, order=True)
class Window:
    """UTC days from `start` (included) to `end` (excluded)."""

    start: date
    end: date

    def __post_init__(self) -> None:
        if self.start >= self.end:
            raise ValueError(f"an empty window: {self.start} to {self.end}")

    @classmethod
    def of_days(cls, first: date, last: date) -> Window:
        """Both ends included, as people say it."""
        return cls(first, last + ONE_DAY)

    @property
    def last(self) -> date:
        return self.end - ONE_DAY

    @property
    def start_epoch(self) -> int:
        """Unix seconds of the start."""
        return int(start_of(self.start).timestamp())

    @property
    def end_epoch(self) -> int:
        """Unix seconds of the (excluded) end."""
        return int(start_of(self.end).timestamp())

    def days(self) -> Iterator[date]:
        day = self.start
        while day < self.end:
            yield day
            day += ONE_DAY

    def chunks(self, days: int) -> Iterator[Window]:
        """Consecutive windows of at most `days` days that make up this one."""
        start = self.start
        while start < self.end:
            end = min(self.end, start + timedelta(days=days))
            yield Window(start, end)
            start = end

    def __contains__(self, day: date) -> bool:
        return self.start <= day < self.end

    def __str__(self) -> str:
        return f"{self.start}..{self.last}"


def lookback_window(today: date, lookback_days: int) -> Window:
    """Yesterday and the days before it that are read again every night."""
    return Window(today - timedelta(days=lookback_days + 1), today)


@dataclass(frozen=True, order=True)
class Month:
    """A UTC billing month, written YYYY-MM."""

    year: int
    number: int

    @classmethod
    def parse(cls, text: str) -> Month:
        if not re.fullmatch(r"2\d{3}-(0[1-9]|1[0-2])", text, re.ASCII):
            raise WrongUse(f"{shown(text)} is not a month; write it as 2026-10.")
        return cls(int(text[:4]), int(text[5:]))

    @classmethod
    def of(cls, day: date) -> Month:
        return cls(day.year, day.month)

    @property
    def first(self) -> date:
        return date(self.year, self.number, 1)

    @property
    def window(self) -> Window:
        return Window(self.first, self.next().first)

    def next(self) -> Month:
        return Month(self.year + self.number // 12, self.number % 12 + 1)

    def previous(self) -> Month:
        return Month.of(self.first - ONE_DAY)

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.number:02d}"
