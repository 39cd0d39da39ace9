"""From a file's bytes to numbered rows: CSV, JSONL and Parquet.

CSV and JSONL are read row by row, because one bad row must not keep the others out. PyArrow reads Parquet: Polars' own
reader can end the process over a damaged page, and prints of its own what it cannot write out.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tokenboard_etl.files import UnreadableFile
from tokenboard_etl.operations.operation import COLUMNS, REQUIRED

MAX_ROWS = 1_000_000
MAX_TEXT_BYTES = 100_000
MAX_UNPACKED_BYTES = 512_000_000
"""Of one value and of all in a Parquet file, where a short file can mean endless text."""
_BATCH_ROWS = 500

_NOT_PLAIN = "this is not a Parquet file of plain columns, or it is not whole"
_TEXT = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
_PLAIN = (
    *(pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal128),
    *(pa.types.is_timestamp, pa.types.is_date, pa.types.is_null),
)


class Row(NamedTuple):
    """`number` is the line it begins on, or its position in a Parquet file, from 1. `unfit` says why it is no row."""

    number: int
    values: Mapping[str, object]
    unfit: str | None = None


def _csv(content: bytes) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(_whole_text(content), newline=""), strict=True)
    header, begins = list[str](), 1
    try:
        for fields in reader:
            number, begins = begins, reader.line_num + 1
            if not fields:
                continue
            if not header:
                header = [name.strip() for name in fields]
                _check_columns(header)
            elif len(fields) != len(header):
                yield Row(number, {}, f"{len(fields)} fields, and the header has {len(header)}")
            else:
                yield Row(number, dict(zip(header, fields, strict=True)))
    except csv.Error as error:
        raise UnreadableFile(f"line {reader.line_num} is not CSV: {error}") from None
    if not header:
        raise UnreadableFile("there is no header")


def _jsonl(content: bytes) -> Iterator[Row]:
    for number, line in enumerate(_whole_text(content).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line, parse_float=Decimal, object_pairs_hook=_each_name_once)
        except (ValueError, ArithmeticError, RecursionError):
            values = None
        if isinstance(values, dict):
            yield Row(number, values)
        else:
            yield Row(number, {}, "the line is not a JSON object, or holds a name twice")


def _parquet(content: bytes) -> Iterator[Row]:
    number = unpacked_bytes = 0
    try:
        schema = pq.read_schema(io.BytesIO(content))
        _check_columns(schema.names)
        kind = schema.field("occurred_at").type
        if pa.types.is_timestamp(kind) and kind.tz is None:
            raise UnreadableFile("occurred_at has no time zone; write it as UTC")
        if not all(_is_text(each.type) or any(is_one(each.type) for is_one in _PLAIN) for each in schema):
            raise UnreadableFile(_NOT_PLAIN)
        texts = [each.name for each in schema if _is_text(each.type)]
        file = pq.ParquetFile(io.BytesIO(content), read_dictionary=texts)
        for batch in file.iter_batches(batch_size=_BATCH_ROWS):
            batch.validate(full=True)
            columns = [_written_out(column) for column in batch.columns]
            unpacked_bytes += sum(column.nbytes for column in columns)
            if unpacked_bytes > MAX_UNPACKED_BYTES:
                raise UnreadableFile(f"it holds more than {MAX_UNPACKED_BYTES // 1_000_000} MB unpacked; split it")
            for values in pa.Table.from_arrays(columns, names=batch.schema.names).to_pylist():
                number += 1
                yield Row(number, values)
    except pa.ArrowMemoryError:
        raise UnreadableFile("it needs more memory than there is; split it") from None
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        raise UnreadableFile(_NOT_PLAIN) from None


def _is_text(kind: pa.DataType) -> bool:
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return any(is_one(inner) for is_one in _TEXT)


def _written_out(column: pa.Array) -> pa.Array:
    """Each value as text, as a CSV file would have it; too long ones are refused before they are written out."""
    if pa.types.is_timestamp(column.type):
        return _instants_written_out(column)
    texts = column.dictionary if pa.types.is_dictionary(column.type) else column
    if _is_text(texts.type) and (pc.max(pc.binary_length(texts)).as_py() or 0) > MAX_TEXT_BYTES:
        raise UnreadableFile(f"a value is longer than {MAX_TEXT_BYTES} bytes")
    return column.cast(pa.string())


def _instants_written_out(column: pa.Array) -> pa.Array:
    """In UTC. Arrow writes years of more than four digits as others, so these are none."""
    unit = "ns" if column.type.unit == "ns" else "us"
    instants = column.cast(pa.timestamp(unit, column.type.tz)).cast(pa.timestamp(unit, "UTC"))
    first, end = (pa.scalar(datetime(year, 1, 1, tzinfo=UTC), instants.type) for year in (2000, 2100))
    known = pc.and_(pc.greater_equal(instants, first), pc.less(instants, end))
    return pc.if_else(known, instants.cast(pa.string()), "beyond this century")


READERS: Mapping[str, Callable[[bytes], Iterator[Row]]] = {".csv": _csv, ".jsonl": _jsonl, ".parquet": _parquet}
"""By the end of a file's name."""


def read_rows(content: bytes, suffix: str) -> list[Row]:
    """Every row of a file, or UnreadableFile."""
    rows = list[Row]()
    for row in READERS[suffix](content):
        rows.append(row)
        if len(rows) > MAX_ROWS:
            raise UnreadableFile(f"there are more than {MAX_ROWS} rows; split it")
    return rows


def _whole_text(content: bytes) -> str:
    """A text that breaks off in its last line may hold half a number, which looks like a whole one."""
    if content and not content.endswith(b"\n"):
        raise UnreadableFile("the last line has no end, so it may be half written; end it with a line feed")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableFile("this is not text in UTF-8") from None


def _each_name_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Of two values under one name nobody can tell which is meant."""
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError
    return dict(pairs)


def _check_columns(names: Collection[str]) -> None:
    if missing := [name for name in REQUIRED if name not in names]:
        raise UnreadableFile(f"the column(s) {', '.join(missing)} are missing")
    if not set(names) <= set(COLUMNS) or len(set(names)) < len(names):
        raise UnreadableFile(f"a column is not known, or stands there twice; known are {', '.join(COLUMNS)}")
