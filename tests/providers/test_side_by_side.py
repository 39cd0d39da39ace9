"""Requests that do not need each other: so many at once and no more, and none begins after an error."""

from __future__ import annotations

import asyncio

import pytest

from tokenboard_etl.errors import ProviderUnavailable
from tokenboard_etl.providers.together import AT_A_TIME, side_by_side


@pytest.mark.parametrize("count", [0, 1, AT_A_TIME, 3 * AT_A_TIME + 1])
def test_all_are_done_with_so_many_at_once_and_begun_in_their_order(count: int) -> None:
    begun, under_way, most = list[int](), 0, 0

    async def one(number: int) -> None:
        nonlocal under_way, most
        begun.append(number)
        under_way += 1
        most = max(most, under_way)
        for _ in range(number % 3 + 1):
            await asyncio.sleep(0)
        under_way -= 1

    asyncio.run(side_by_side(one(number) for number in range(count)))
    assert begun == list(range(count))
    assert (under_way, most) == (0, min(count, AT_A_TIME))


def test_after_an_error_those_under_way_are_finished_and_no_other_begins() -> None:
    begun, finished = list[int](), list[int]()

    async def one(number: int) -> None:
        begun.append(number)
        for _ in range(5):
            await asyncio.sleep(0)
        finished.append(number)

    async def failing(why: str) -> None:
        await asyncio.sleep(0)
        raise ProviderUnavailable("openrouter", "GET /activity", why)

    work = [one(1), failing("first"), failing("second"), *(one(number) for number in range(2, 9))]
    with pytest.raises(ProviderUnavailable, match="first"):
        asyncio.run(side_by_side(work))
    assert begun == sorted(finished) == [1, 2]


def test_a_cancellation_ends_all_of_them() -> None:
    ended = list[int]()

    async def endless(number: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(number)

    async def interrupted() -> None:
        async with asyncio.timeout(0):
            await side_by_side(endless(number) for number in range(9))

    with pytest.raises(TimeoutError):
        asyncio.run(interrupted())
    assert len(ended) <= AT_A_TIME
