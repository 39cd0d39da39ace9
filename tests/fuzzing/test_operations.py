"""An application's log of operations: good rows are loaded, all others and whole files are put into quarantine."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing.clear import Outcomes, accepted_or_refused, inputs
from fuzzing.mutations import ANYTHING, as_json, mutated, plain, spoiled
from tokenboard_etl.operations.inbox import take_in
from tokenboard_etl.operations.operation import COLUMNS
from tokenboard_etl.tenants.registry import Tenant, save_tenant
from tokenboard_etl.warehouse.connection import configure
from tokenboard_etl.warehouse.migrations import migrate

NOW = datetime(2026, 6, 15, 2, 0, tzinfo=UTC)
TABLES = ("ops.operations", "ops.operation_files", "ops.operation_rejects")
_LONGEST_REASON = 400
ROWS = [
    {
        "operation_id": f"op-{number}",
        "type": "cv-parsing",
        "occurred_at": "2026-06-14T09:30:00Z",
        "tenant_id": "acme",
        "job_id": "j-1",
        "job_title": "Engineer",
        "candidate": "Ana Souza",
        "tokens": 6200,
        "quantity": "1.5",
        "unit": "cvs",
        "success": True,
    }
    for number in range(3)
]


@pytest.fixture(scope="module")
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    configure(connection)
    migrate(connection)
    save_tenant(connection, Tenant("acme", "Acme", None, None, "USD", None), {}, NOW)
    yield connection
    connection.close()


@pytest.fixture(scope="module")
def inbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("operations")


def as_jsonl(rows: Any) -> str:
    return "".join(as_json(each) + "\n" for each in (rows if isinstance(rows, list) else [rows]))


def as_csv(rows: Any) -> str:
    out = io.StringIO()
    lines = [each for each in rows if isinstance(each, dict)] if isinstance(rows, list) else []
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([str(plain(name)) for name in (lines or [{}])[0]])
    writer.writerows([_cell(value) for value in line.values()] for line in lines)
    return out.getvalue()


def _cell(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(plain(value))


def parquet() -> bytes:
    out = io.BytesIO()
    pl.DataFrame(ROWS, schema=list(COLUMNS)).write_parquet(out)
    return out.getvalue()


@st.composite
def spoiled_parquet(draw: st.DrawFn) -> bytes:
    """With some bytes changed; its end, where the columns are described, as often as the rest."""
    content = bytearray(PARQUET)
    for place in draw(st.lists(st.integers(0, len(content) - 1) | st.integers(1, 400).map(int.__neg__), max_size=4)):
        content[place] = draw(st.integers(0, 255))
    return bytes(content[: draw(st.none() | st.integers(0, len(content)))])


PARQUET = parquet()
FILES = st.one_of(
    st.tuples(st.just("jsonl"), spoiled(mutated(st.just(ROWS)).map(as_jsonl))),
    st.tuples(st.just("csv"), spoiled(mutated(st.just(ROWS)).map(as_csv))),
    st.tuples(st.just("parquet"), spoiled_parquet()),
    st.tuples(st.sampled_from(("jsonl", "csv", "parquet")), ANYTHING),
)


@inputs(2_500)
@given(FILES)
def test_a_file_is_loaded_row_by_row_and_what_is_not_has_a_reason(
    warehouse: duckdb.DuckDBPyConnection, inbox: Path, outcomes: Outcomes, file: tuple[str, bytes]
) -> None:
    ending, content = file
    for table in TABLES:
        warehouse.execute(f"DELETE FROM {table}")
    path = inbox / f"log.{ending}"
    path.write_bytes(content)
    with accepted_or_refused(outcomes, f"operations ({ending})"):
        taken = take_in(warehouse, inbox, NOW)
        again = take_in(warehouse, inbox, NOW)
    path.unlink()
    loaded = warehouse.execute("SELECT count(*) FROM ops.operations").fetchall()[0][0]
    reasons = [reason for (reason,) in warehouse.execute("SELECT reason FROM ops.operation_rejects").fetchall()]
    assert (taken.loaded, taken.rejected) == (loaded, len(reasons))
    assert again.loaded == 0
    assert all(reason and len(reason) <= _LONGEST_REASON and reason.isprintable() for reason in reasons), reasons
    outcomes[f"operations ({ending}): rows", "loaded"] += loaded
    outcomes[f"operations ({ending}): rows", "in quarantine"] += len(reasons)
