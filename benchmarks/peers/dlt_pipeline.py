"""A dlt pipeline as somebody would tune it who knows dlt well.

Pages are fetched side by side and decoded by msgspec into Arrow tables with exact decimals, so that dlt neither infers
types nor normalizes row by row: it moves Parquet files into DuckDB. Arguments and last line are the floor's.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import dlt
import duckdb
import httpx
import msgspec
import pyarrow as pa
from dlt.destinations import duckdb as duckdb_destination

from benchmarks.floor import Asked, Stopwatch, Task, bill_tables, tell

TUNED = {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "ERROR",
    "EXTRACT__WORKERS": "4",
    "LOAD__WORKERS": "2",
}
"""dlt's own settings."""

_EXACT = pa.decimal128(38, 18)
_NAMES = ("project_id", "api_key_id", "model", "user_id", "service_tier")
_COUNTS = ("input_tokens", "output_tokens", "input_cached_tokens", "num_model_requests")


class Amount(msgspec.Struct):
    value: Decimal


class Cost(msgspec.Struct):
    amount: Amount
    line_item: str | None = None
    project_id: str | None = None
    api_key_id: str | None = None
    quantity: Decimal | None = None


class Tokens(msgspec.Struct):
    input_tokens: int
    output_tokens: int
    input_cached_tokens: int
    num_model_requests: int
    project_id: str | None = None
    api_key_id: str | None = None
    model: str | None = None
    user_id: str | None = None
    service_tier: str | None = None


def _page_of(row: type) -> Any:
    bucket = msgspec.defstruct("Bucket", [("start_time", int), ("results", list[row])])
    return msgspec.json.Decoder(msgspec.defstruct("Page", [("data", list[bucket])]))


_DECODERS = {"costs": _page_of(Cost), "completions": _page_of(Tokens)}


def _costs(rows: Sequence[Cost]) -> dict[str, pa.Array]:
    return {
        **{name: pa.array([getattr(row, name) for row in rows], pa.string()) for name in ("project_id", "line_item")},
        "api_key_id": pa.array([row.api_key_id for row in rows], pa.string()),
        "cost_usd": pa.array([row.amount.value for row in rows], _EXACT),
        "quantity": pa.array([row.quantity for row in rows], pa.decimal128(38, 9)),
    }


def _usage(rows: Sequence[Tokens]) -> dict[str, pa.Array]:
    return {name: pa.array([getattr(row, name) for row in rows], pa.string()) for name in _NAMES} | {
        name: pa.array([getattr(row, name) for row in rows], pa.int64()) for name in _COUNTS
    }


_COLUMNS: dict[str, Callable[[Any], dict[str, pa.Array]]] = {"costs": _costs, "completions": _usage}


def report(name: str, task: Task, client: httpx.Client) -> Any:
    """A dlt resource: one Arrow table a day."""

    @dlt.resource(name=f"{name}_days", selected=False)
    def days() -> Iterator[Asked]:
        yield from (asked for asked in task.asked if asked.report == name)

    @dlt.transformer(data_from=days, name=name, parallelized=True, write_disposition="replace")
    def tables(asked: Asked) -> Iterator[pa.Table]:
        answer = client.get(task.base_url + asked.path, params=asked.query, headers=asked.headers)
        for bucket in _DECODERS[name].decode(answer.raise_for_status().content).data:
            columns = _COLUMNS[name](bucket.results)
            day = pa.scalar(datetime.fromtimestamp(bucket.start_time, UTC).date(), pa.date32())
            yield pa.table({"usage_date": pa.repeat(day, len(bucket.results)), **columns})

    return tables


def main() -> None:
    """Everything once."""
    os.environ |= TUNED
    task, watch = Task.from_arguments(), Stopwatch()
    database = task.folder / "dlt.duckdb"
    pipeline = dlt.pipeline(
        "bench", pipelines_dir=str(task.folder), destination=duckdb_destination(str(database)), dataset_name="raw"
    )
    with httpx.Client(timeout=60) as client:
        pipeline.extract([report(name, task, client) for name in _DECODERS], loader_file_format="parquet")
    watch.lap("download")
    pipeline.normalize()
    pipeline.load()
    watch.lap("load")
    with duckdb.connect(database) as connection:
        found = bill_tables(connection, task.folder, "raw")
    watch.lap("render")
    tell(*found, watch.stages)


if __name__ == "__main__":
    main()
