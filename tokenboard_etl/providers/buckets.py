"""Large pages of buckets: their envelope without their rows, and the page size that fits."""

from __future__ import annotations

import msgspec

from tokenboard_etl.errors import AnswerTooLarge


class _Bucket(msgspec.Struct):
    results: msgspec.Raw


class _Page(msgspec.Struct):
    data: list[_Bucket]


_PAGES = msgspec.json.Decoder(_Page)


def without_rows(body: bytes) -> bytes:
    """A page with its buckets emptied, otherwise as it was sent; rows under a name that came before stay in it.

    Raises msgspec.DecodeError for anything that is no page of buckets.
    """
    for bucket in _PAGES.decode(body).data:
        rows = memoryview(bucket.results)
        if rows[:1].tobytes() != b"[":
            raise msgspec.ValidationError("results is no list")
        body = body.replace(rows, b"[]", 1)
    return body


def buckets_that_fit(error: AnswerTooLarge, asked: int) -> int:
    """How many of the buckets asked for fit into one body: as many as had arrived whole, or half of them."""
    whole = error.beginning.count(b'"start_time"') - 1
    return max(1, min(whole, asked - 1) if whole > 0 else asked // 2)
