"""Landed bodies as a relation: DuckDB takes page after page, and each is read and checked on the way."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import duckdb
import pyarrow as pa

from tokenboard_etl.errors import TokenboardError
from tokenboard_etl.landing import Landing, Page, read_body
from tokenboard_etl.warehouse.drift import Contract, check_page

MEMORY_BYTES, MEMORY_PER_PAGE = 300 * 1024 * 1024, 18
"""What DuckDB may keep while it loads, and how many times its largest page besides; the rest waits on disk. A page is
read whole, one a core: of pages of 45 MB two cores took 14 times their size. Where it is not enough, see load_landing.
"""

_SCHEMA = pa.schema(
    {
        "page_no": pa.int64(),
        "path": pa.string(),
        "received_at": pa.timestamp("us", "UTC"),
        "context": pa.string(),
        "body": pa.large_string(),
    }
)


def memory_for(landing: Landing) -> int:
    """What its largest page asks for, and a fixed sum; in bytes."""
    return MEMORY_BYTES + MEMORY_PER_PAGE * max((page.bytes for page in landing.pages), default=0)


@contextmanager
def exposed(
    connection: duckdb.DuckDBPyConnection, landing: Landing, contract: Contract | None = None
) -> Iterator[None]:
    """Makes the bodies readable as the relation `landed` (page_no, path, received_at, context, body) for a while.

    While DuckDB works on pages, one a core, the next is read; no more than those are in memory. Each is
    held against its checksum and `contract`: raises LandingDamaged or LoadRefused, also for a page no query needed.
    The caller is in a transaction, and ends it after an error.
    """
    pages = _Pages(landing, contract)
    connection.register("landed", pages)
    try:
        yield
        pages.check_rest()
    except duckdb.Error:
        if pages.refusal is None:
            raise
        raise pages.refusal from None
    connection.unregister("landed")  # after an error the transaction's end does


class _Pages:
    """A landing by Arrow's protocol for streams; every scan is a stream of its own."""

    def __init__(self, landing: Landing, contract: Contract | None) -> None:
        self._landing, self._contract = landing, contract
        self._checked = set[int]()
        self.refusal: TokenboardError | None = None

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return pa.RecordBatchReader.from_batches(_SCHEMA, self._batches()).__arrow_c_stream__(requested_schema)

    def check_rest(self) -> None:
        """Checks the pages that no scan came to."""
        for page in self._landing.pages:
            if page.number not in self._checked:
                self._read(page)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        for page in self._landing.pages:
            try:
                yield _batch(page, self._read(page))
            except TokenboardError as error:
                self.refusal = error  # DuckDB raises one of its own instead
                raise

    def _read(self, page: Page) -> bytes:
        body = read_body(self._landing.folder, page)
        if self._contract is not None and page.number not in self._checked:
            check_page(self._landing, page, body, self._contract)
        self._checked.add(page.number)
        return body


def _batch(page: Page, body: bytes) -> pa.RecordBatch:
    """One row. The body is not copied: its column is made of the bytes as they are."""
    ends = pa.py_buffer(struct.pack("<qq", 0, len(body)))
    known = (
        page.number,
        json.loads(page.request)[1],
        datetime.fromisoformat(page.received_at),
        json.dumps(page.context, ensure_ascii=False),
    )
    columns = [pa.array([value], field.type) for value, field in zip(known, _SCHEMA, strict=False)]
    body_column = pa.Array.from_buffers(pa.large_string(), 1, [None, ends, pa.py_buffer(body)])
    return pa.record_batch([*columns, body_column], schema=_SCHEMA)
