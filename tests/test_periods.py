"""Days, windows and months. Oracles: the calendar module and plain integer seconds."""

from __future__ import annotations

import calendar
import os
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenboard_etl.errors import WrongUse
from tokenboard_etl.periods import Month, Window, start_of, utc_day

_days = st.dates(date(1999, 1, 1), date(2099, 12, 31))


@st.composite
def windows(draw: st.DrawFn) -> Window:
    start = draw(_days)
    return Window(start, start + timedelta(days=draw(st.integers(1, 900))))


@pytest.fixture(
    params=[
        "UTC",
        "Asia/Kathmandu",
        "America/St_Johns",
        "Europe/Berlin",
        "Pacific/Kiritimati",
        "EST5EDT,M3.2.0,M11.1.0",
    ]
)
def local_time(request: pytest.FixtureRequest) -> Iterator[str]:
    """A machine in another time zone. The rule of the last one is spelled out, so it needs no zone files."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = request.param
    time.tzset()
    yield request.param
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


@given(windows(), st.integers(1, 1000))
def test_chunks_cover_each_day_once_and_in_order(window: Window, size: int) -> None:
    parts = list(window.chunks(size))
    assert [day for part in parts for day in part.days()] == list(window.days())
    assert all((part.end - part.start).days == size for part in parts[:-1])
    assert 1 <= (parts[-1].end - parts[-1].start).days <= size


@given(windows())
def test_a_window_holds_its_start_and_not_its_end(window: Window) -> None:
    days = list(window.days())
    assert len(days) == (window.end - window.start).days == window.end.toordinal() - window.start.toordinal()
    assert days[0] == window.start
    assert days[-1] == window.last
    assert all(day in window for day in days)
    assert window.end not in window
    assert window.start - timedelta(days=1) not in window


@given(windows())
def test_a_window_lasts_whole_days_of_86400_seconds(window: Window) -> None:
    assert window.start_epoch == calendar.timegm(window.start.timetuple())
    assert window.end_epoch - window.start_epoch == 86_400 * len(list(window.days()))


@given(_days, st.integers(0, 400))
def test_a_window_of_days_includes_both_ends(first: date, more: int) -> None:
    last = first + timedelta(days=more)
    window = Window.of_days(first, last)
    assert (window.start, window.last) == (first, last)
    assert str(window) == f"{first.isoformat()}..{last.isoformat()}"


@pytest.mark.parametrize("days", [0, -1, -400])
def test_an_empty_or_reversed_window_is_refused(days: int) -> None:
    with pytest.raises(ValueError, match="an empty window"):
        Window(date(2026, 3, 1), date(2026, 3, 1) + timedelta(days=days))


@given(st.integers(1970, 2400), st.integers(1, 12))
def test_a_month_has_the_days_of_the_calendar(year: int, number: int) -> None:
    month = Month(year, number)
    days = list(month.window.days())
    assert len(days) == calendar.monthrange(year, number)[1]
    assert {(day.year, day.month) for day in days} == {(year, number)}
    assert days[0] == month.first
    assert all(Month.of(day) == month for day in days)


@given(st.integers(2000, 2400), st.integers(1, 12))
def test_months_follow_one_another_without_a_gap(year: int, number: int) -> None:
    month = Month(year, number)
    assert month.window.end == month.next().window.start
    assert month.previous().next() == month == month.next().previous()
    assert month.previous() < month < month.next()
    assert Month.parse(str(month)) == month


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026",
        "2026-1",
        "2026-13",
        "2026-00",
        "26-10",
        "2026/10",
        "2026-10-01",
        " 2026-10",
        "2026-10\n",
        "\uff12\uff10\uff12\uff16-10",
    ],
)
def test_what_is_no_month_is_wrong_use(text: str) -> None:
    with pytest.raises(WrongUse, match="write it as 2026-10"):
        Month.parse(text)


def test_the_year_zero_is_no_month() -> None:
    with pytest.raises(WrongUse):
        _ = Month.parse("0000-05").window


@given(_days, st.integers(-14 * 60, 14 * 60), st.integers(0, 86_399))
def test_an_instant_falls_on_its_utc_day_whatever_its_offset(day: date, offset_minutes: int, second: int) -> None:
    instant = start_of(day) + timedelta(seconds=second)
    elsewhere = instant.astimezone(timezone(timedelta(minutes=offset_minutes)))
    assert utc_day(elsewhere) == day


def test_a_naive_instant_has_no_day() -> None:
    with pytest.raises(ValueError, match="naive"):
        utc_day(datetime(2026, 3, 1, 12))  # noqa: DTZ001 - that is the point


@pytest.mark.parametrize(
    ("window", "start", "end"),
    [
        (Window(date(2026, 3, 28), date(2026, 3, 31)), 1774656000, 1774915200),  # Berlin springs forward on the 29th
        (Window(date(2026, 10, 24), date(2026, 10, 27)), 1792800000, 1793059200),  # and back on the 25th
        (Window(date(2026, 3, 7), date(2026, 3, 10)), 1772841600, 1773100800),  # New York on the 8th
        (Window(date(2024, 2, 28), date(2024, 3, 1)), 1709078400, 1709251200),
    ],
)
def test_epochs_do_not_depend_on_the_machines_time_zone(local_time: str, window: Window, start: int, end: int) -> None:
    assert time.tzname != ("UTC", "UTC") or local_time == "UTC"
    assert (window.start_epoch, window.end_epoch) == (start, end)
    assert [int(start_of(day).timestamp()) for day in window.days()] == list(range(start, end, 86_400))
    assert [utc_day(datetime.fromtimestamp(second, UTC)) for second in range(start, end, 3_600)] == [
        day for day in window.days() for _ in range(24)
    ]
