"""Large pages of buckets: their envelope without their rows, and the page size that fits."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

import msgspec

from tokenboard_etl.errors import AnswerTooLarge


class _Bucket(msgspec.Struct):
    start_time: int
    end_time: int
    results: msgspec.Raw


class _Page(msgspec.Struct):
    data: list[_Bucket]
    has_more: bool
    next_page: str | None = None


_PAGES = msgspec.json.Decoder(_Page)


def bucket_envelope(body: bytes) -> dict[str, Any]:
    """The page with its buckets emptied. Raises msgspec.DecodeError for anything that is no page of buckets."""
    page = _PAGES.decode(body)
    if any(memoryview(bucket.results)[:1].tobytes() != b"[" for bucket in page.data):
        raise msgspec.ValidationError("results is no list")
    buckets = [{"start_time": each.start_time, "end_time": each.end_time, "results": []} for each in page.data]
    return {"data": buckets, "has_more": page.has_more, "next_page": page.next_page}


def days_that_fit(error: AnswerTooLarge, asked: int) -> int:
    """How many of the days asked for fit into one body: as many as had arrived whole, or half of them."""
    whole = error.beginning.count(b'"start_time"') - 1
    return max(1, min(whole, asked - 1) if whole > 0 else asked // 2)


T = TypeVar("T")


async def side_by_side(parts: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """All results in order; the first error stops the rest and comes out as it is."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
