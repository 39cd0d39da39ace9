"""Large pages of buckets: their envelope without their rows, and the page size that fits."""

from __future__ import annotations

from typing import Any

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


def buckets_that_fit(error: AnswerTooLarge, asked: int) -> int:
    """How many of the buckets asked for fit into one body: as many as had arrived whole, or half of them."""
    whole = error.beginning.count(b'"start_time"') - 1
    return max(1, min(whole, asked - 1) if whole > 0 else asked // 2)
