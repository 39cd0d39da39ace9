"""What a person sees of a backfill while it is under way: how many of the days of each report have been read."""

from __future__ import annotations

import asyncio
import io
import logging
import re
from datetime import date, timedelta

import pytest
from rich.console import Console

from tokenboard_etl.connections import connections
from tokenboard_etl.extraction import REPORTS, Undertaking, extract_all
from tokenboard_etl.logs import show_progress
from tokenboard_etl.periods import Window
from tokenboard_etl.progress import days_read, reading
from tokenboard_etl.settings import Settings

SIXTY = Window(date(2026, 4, 16), date(2026, 6, 15))
LANDED = [("openai", "completions"), ("openai", "costs"), ("openrouter", "keys"), ("openrouter", "analytics")]


def seen(settings: Settings, console: Console) -> None:
    about = Undertaking(SIXTY, settings.landing_path, lambda: settings.now)
    with show_progress(console):
        asyncio.run(extract_all(connections(settings), [REPORTS[each] for each in LANDED], about))


def test_a_pipe_gets_a_line_where_pages_end_and_one_at_the_end(settings: Settings) -> None:
    """Usage comes in pages of 31 days, analytics in questions of 31 days, costs in one page."""
    out = io.StringIO()
    seen(settings, Console(file=out, width=200))
    lines = out.getvalue().splitlines()
    assert [line for line in lines if "days" in line] == [
        line for line in lines if line in {"openai completions: 31 of 60 days", "openrouter analytics: 31 of 60 days"}
    ]
    for provider, report in LANDED:
        about = [line for line in lines if f"{provider} {report}" in line]
        assert about[-1].startswith(f"landed {provider} {report} (2026-04-16..2026-06-14): ")
        assert len(about) == (2 if report in ("completions", "analytics") else 1)


def test_a_terminal_gets_a_bar_for_each_report_that_is_being_read(settings: Settings) -> None:
    out = io.StringIO()
    seen(settings, Console(file=out, width=200, force_terminal=True))
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue())
    for report in ("openai completions", "openrouter analytics"):
        assert re.search(rf"{report}\s+━+[╸╺]?\s*━*\s+31 of 60 days", shown), shown[-2000:]
    assert "landed openai costs" in shown


@pytest.mark.parametrize(("step", "said"), [(1, [10, 20]), (7, [14]), (10, [10, 20]), (25, []), (30, [])])
def test_small_pages_make_a_line_for_every_ten_days(step: int, said: list[int]) -> None:
    """The last days are said by the line that the report has landed."""
    out = io.StringIO()
    window = Window(SIXTY.start, SIXTY.start + timedelta(days=25))
    days = list(window.days())
    with show_progress(Console(file=out)), reading("openai costs", window):
        for first in range(0, len(days), step):
            days_read(days[first : first + step])
            days_read(days[:1])  # a day that was read before is no progress
            days_read([window.end])  # nor is one nobody asked for
    assert out.getvalue().splitlines() == [f"openai costs: {done} of 25 days" for done in said]


def test_without_a_report_under_way_nothing_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "tokenboard"):
        days_read(SIXTY.days())
    assert caplog.records == []
