"""Which minutes a read asks for, and that it gets them all."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from tokenboard_etl.extraction import parse
from tokenboard_etl.extraction.live import OVERLAP, minutes_to_read
from tokenboard_etl.http import Client
from tokenboard_etl.periods import utc_day
from tokenboard_etl.providers import openai_minutes
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.providers.wire import Request

MINUTE = timedelta(minutes=1)
MIDNIGHT = datetime(2026, 6, 15, tzinfo=UTC)


def test_the_first_read_begins_with_a_whole_day() -> None:
    assert minutes_to_read(MIDNIGHT + timedelta(hours=10, seconds=59), None) == (MIDNIGHT, MIDNIGHT + 600 * MINUTE)
    for seconds in (0, 59, 3599):
        start, end = minutes_to_read(MIDNIGHT + timedelta(seconds=seconds), None)
        assert start == MIDNIGHT - timedelta(days=1)
        assert end == MIDNIGHT + seconds // 60 * MINUTE


def test_later_reads_overlap_and_go_back_to_yesterday_at_most() -> None:
    now = MIDNIGHT + timedelta(hours=10, minutes=5, seconds=7)
    assert minutes_to_read(now, now - 5 * MINUTE) == (MIDNIGHT + 540 * MINUTE, MIDNIGHT + 605 * MINUTE)
    assert minutes_to_read(now, now - timedelta(days=9))[0] == MIDNIGHT - timedelta(days=1)
    assert minutes_to_read(now, now + timedelta(days=9)) == minutes_to_read(now, now), "the clock was turned back"


@given(st.lists(st.integers(1, 6 * 3600), min_size=1, max_size=30), st.integers(0, 86_399))
def test_whatever_the_pauses_no_minute_is_left_out(pauses: list[int], first: int) -> None:
    moments = [MIDNIGHT + timedelta(seconds=first)]
    for pause in pauses:
        moments.append(moments[-1] + timedelta(seconds=pause))
    covered_until = minutes_to_read(moments[0], None)[1]
    for previous, now in pairwise(moments):
        start, end = minutes_to_read(now, previous)
        assert start <= covered_until - OVERLAP
        assert end > now - MINUTE
        covered_until = end
    assert utc_day(covered_until) >= utc_day(MIDNIGHT)


def test_more_minutes_than_a_page_holds_are_read_to_the_end(sandbox: RunningSandbox) -> None:
    asked, starts = list[Request](), list[int]()

    async def read() -> None:
        key = SecretStr(sandbox.env()["OPENAI_ADMIN_KEY"])
        async with Client(sandbox.openai_base_url, key) as client:

            async def fetch(request: Request) -> object:
                body = parse(request, (await client.send(request)).body)
                asked.append(request)
                starts.extend(bucket["start_time"] for bucket in body["data"])
                return body

            await openai_minutes.completions(fetch, MIDNIGHT - 1440 * MINUTE, MIDNIGHT + 60 * MINUTE)

    asyncio.run(read())
    assert len(asked) == 2
    begin = int(MIDNIGHT.timestamp())
    assert starts == list(range(begin - 86_400, begin + 3_600, 60))
