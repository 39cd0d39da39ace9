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

_TOO_MANY = f"there are more than {MAX_ROWS} rows; split it"
_TEXT = (
    *(pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view),
    *(pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view),
)
_NUMBERS = (pa.types.is_float32, pa.types.is_float64, pa.types.is_decimal)


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
        for field in schema:
            _check_kind(field.name, field.type)
        texts = [field.name for field in schema if _is_text(field.type)]
        file = pq.ParquetFile(io.BytesIO(content), read_dictionary=texts)
        if file.metadata.num_rows > MAX_ROWS:
            raise UnreadableFile(_TOO_MANY)
        _check_encodings(file.metadata)
        for batch in file.iter_batches(batch_size=_BATCH_ROWS):
            batch.validate(full=True)
            columns = [_plain(column) for column in batch.columns]
            unpacked_bytes += sum(map(_bytes_in_python, columns))
            if unpacked_bytes > MAX_UNPACKED_BYTES:
                raise UnreadableFile(f"it holds more than {MAX_UNPACKED_BYTES // 1_000_000} MB unpacked; split it")
            for values in zip(*map(_values, columns), strict=True):
                number += 1
                yield Row(number, dict(zip(batch.schema.names, values, strict=True)))
    except pa.ArrowMemoryError:
        raise UnreadableFile("it needs more memory than there is; split it") from None
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        raise UnreadableFile("this is not a Parquet file, or it is not whole") from None


def _check_encodings(metadata: pq.FileMetaData) -> None:
    """Texts that are told by their difference could mean any length."""
    for group in range(metadata.num_row_groups):
        for position in range(metadata.num_columns):
            column = metadata.row_group(group).column(position)
            if column.physical_type == "BYTE_ARRAY" and any(each.startswith("DELTA") for each in column.encodings):
                raise UnreadableFile(f"the column {column.path_in_schema} is DELTA encoded; write it plain")


def _check_kind(name: str, kind: pa.DataType) -> None:
    """Of a known column: what it may be besides text, a whole number or empty."""
    if name == "occurred_at" and pa.types.is_timestamp(kind):
        if kind.tz is None:
            raise UnreadableFile("occurred_at has no time zone; write it as UTC")
        return
    besides = {"quantity": _NUMBERS, "tokens": _NUMBERS, "success": (pa.types.is_boolean,)}.get(name, ())
    if not _is_text(kind) and not any(is_one(kind) for is_one in (pa.types.is_integer, pa.types.is_null, *besides)):
        raise UnreadableFile(f"the column {name} is of a kind it cannot have; text will do")


def _is_text(kind: pa.DataType) -> bool:
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return any(is_one(inner) for is_one in _TEXT)


def _plain(column: pa.Array) -> pa.Array:
    """Texts written out and instants as text; too long ones are refused before."""
    if pa.types.is_timestamp(column.type):
        return _instants_written_out(column)
    texts = column.dictionary if pa.types.is_dictionary(column.type) else column
    if not _is_text(texts.type):
        return column
    if (pc.max(pc.binary_length(texts.cast(pa.large_binary()))).as_py() or 0) > MAX_TEXT_BYTES:
        raise UnreadableFile(f"a value is longer than {MAX_TEXT_BYTES} bytes")
    return column.cast(pa.string())


def _instants_written_out(column: pa.Array) -> pa.Array:
    """In UTC. Arrow writes years of more than four digits as others, so these are none."""
    instants = column.cast(pa.timestamp(column.type.unit, "UTC"))
    first, end = (pa.scalar(datetime(year, 1, 1, tzinfo=UTC), instants.type) for year in (2000, 2100))
    known = pc.and_(pc.greater_equal(instants, first), pc.less(instants, end))
    return pc.if_else(known, instants.cast(pa.string()), "beyond this century")


def _bytes_in_python(column: pa.Array) -> int:
    """Python keeps every character of a text as wide as its widest."""
    plain = not pa.types.is_string(column.type) or pc.all(pc.string_is_ascii(column)).as_py() is not False
    return int(column.nbytes) * (1 if plain else 4)


def _values(column: pa.Array) -> list[object]:
    if not pa.types.is_floating(column.type):
        return list(column.to_pylist())
    return [None if each is None else _number(each) for each in column.cast(pa.string()).to_pylist()]


def _number(shortest: str) -> Decimal | int | str | None:
    """A float by the shortest decimal that means it, as a CSV file would have it; None for NaN, as pandas writes it."""
    number = Decimal(shortest)
    if not number.is_finite():
        return None if number.is_nan() else shortest
    return int(number) if number == number.to_integral_value() else number


READERS: Mapping[str, Callable[[bytes], Iterator[Row]]] = {".csv": _csv, ".jsonl": _jsonl, ".parquet": _parquet}
"""By the end of a file's name."""


def read_rows(content: bytes, suffix: str) -> list[Row]:
    """Every row of a file, or UnreadableFile."""
    rows = list[Row]()
    for row in READERS[suffix](content):
        rows.append(row)
        if len(rows) > MAX_ROWS:
            raise UnreadableFile(_TOO_MANY)
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
