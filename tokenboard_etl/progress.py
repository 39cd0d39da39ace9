"""How far the reading of a report has come, in days: said in log records, for whoever waits for a backfill.

Readers say which days they have been through and do not know for whom; `reading` names the report around them. What a
screen makes of it is in logs.py.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import date

from tokenboard_etl.periods import Window

log = logging.getLogger("tokenboard.progress")

FIELD = "days_read"
"""The attribute of a log record that holds a DaysRead."""


@dataclass(frozen=True)
class DaysRead:
    """`done` of the `total` days of a report have been read; at the end all of them, whatever was found."""

    report: str
    done: int
    total: int

    @property
    def is_over(self) -> bool:
        return self.done >= self.total


@dataclass(frozen=True)
class _Reading:
    report: str
    window: Window
    days: set[date] = field(default_factory=set)


_under_way: ContextVar[_Reading | None] = ContextVar("_under_way", default=None)


@contextmanager
def reading(report: str, window: Window) -> Iterator[None]:
    """While the block runs, `days_read` is about this report; also in tasks that are begun in it."""
    token = _under_way.set(_Reading(report, window))
    try:
        yield
    finally:
        _under_way.reset(token)


def days_read(days: Iterable[date]) -> None:
    """Says that these days of the report under way were read. Nothing is said without one, and of the last days."""
    now = _under_way.get()
    if now is None:
        return
    before = len(now.days)
    now.days.update(day for day in days if day in now.window)
    told = DaysRead(now.report, len(now.days), sum(1 for _ in now.window.days()))
    if told.done > before and not told.is_over:
        log.info("%s: %d of %d days", told.report, told.done, told.total, extra={FIELD: told})


def all_days(report: str, window: Window) -> dict[str, DaysRead]:
    """The `extra` of the record that says a report was read to its end."""
    total = sum(1 for _ in window.days())
    return {FIELD: DaysRead(report, total, total)}
