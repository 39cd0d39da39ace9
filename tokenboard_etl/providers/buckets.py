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
    """A page with its buckets emptied, otherwise as it was sent; rows under a name that comes twice stay in it.

    Nothing is lost where an equal list stands before the rows and is taken for them. Raises msgspec.DecodeError for
    anything that is no page of buckets.
    """
    kept, end = list[bytes](), 0
    for bucket in _PAGES.decode(body).data:
        rows = memoryview(bucket.results)
        if rows[:1].tobytes() != b"[":
            raise msgspec.ValidationError("results is no list")
        start = body.index(b"[", end)
        while not body.startswith(rows, start):
            start = body.index(b"[", start + 1)
        kept += [body[end:start], b"[]"]
        end = start + len(rows)
    return b"".join([*kept, body[end:]])


def buckets_that_fit(error: AnswerTooLarge, asked: int) -> int:
    """How many of the buckets asked for fit into one body: as many as had arrived whole, or half of them."""
    whole = error.beginning.count(b'"start_time"') - 1
    return max(1, min(whole, asked - 1) if whole > 0 else asked // 2)
