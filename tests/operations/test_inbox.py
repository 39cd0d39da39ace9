"""The inbox of operations: real files in every format, each operation once, and what goes to quarantine."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tokenboard_etl.errors import ConfigurationError
from tokenboard_etl.operations.formats import MAX_TEXT_BYTES
from tokenboard_etl.operations.inbox import MAX_BYTES, Taken, take_in
from tokenboard_etl.operations.operation import COLUMNS, REQUIRED
from tokenboard_etl.tenants.registry import Tenant, save_tenant

NOW = datetime(2026, 6, 15, 2, 0, tzinfo=UTC)
GUIDE = Path(__file__).parents[2] / "docs" / "operations-feed.md"
HEAD = "operation_id,type,occurred_at,tenant_id,tokens,quantity,unit,success\n"

Inbox = Callable[..., Taken]


@pytest.fixture
def inbox(warehouse: duckdb.DuckDBPyConnection, tmp_path: Path) -> Inbox:
    """Writes files and takes them in; the tenant acme is known."""
    save_tenant(warehouse, Tenant("acme", "Acme", None, None, "USD", None), {}, NOW)
    folder = tmp_path / "inbox" / "operations"
    folder.mkdir(parents=True)

    def take(**files: bytes | str) -> Taken:
        for name, content in files.items():
            stem, _, ending = name.rpartition("_")
            (folder / f"{stem}.{ending}").write_bytes(content.encode() if isinstance(content, str) else content)
        return take_in(warehouse, folder, NOW)

    return take


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "inbox" / "operations"


def row(number: int, **changed: object) -> dict[str, object]:
    plain = {
        "operation_id": f"op-{number}",
        "type": "cv-parsing",
        "occurred_at": "2026-06-14T09:30:00Z",
        "tenant_id": "acme",
        "tokens": "6200",
        "quantity": "1",
        "unit": "cvs",
        "success": "true",
    }
    return {**plain, **changed}


def csv_of(*rows: dict[str, object]) -> str:
    return HEAD + "".join(",".join(map(str, each.values())) + "\n" for each in rows)


def jsonl_of(*rows: object) -> str:
    return "".join(json.dumps(each) + "\n" for each in rows)


def parquet_of(rows: list[dict[str, Any]], **schema: Any) -> bytes:
    out = io.BytesIO()
    pl.DataFrame(rows, schema_overrides=schema).write_parquet(out)
    return out.getvalue()


def delta_encoded(values: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    encoding = {"operation_id": "DELTA_LENGTH_BYTE_ARRAY"}
    pq.write_table(pa.Table.from_pylist([values]), out, use_dictionary=False, column_encoding=encoding)
    return out.getvalue()


def arrow_of(rows: list[dict[str, Any]], **columns: pa.Array) -> bytes:
    """With columns of kinds that only Arrow writes."""
    table, out = pa.Table.from_pylist(rows), io.BytesIO()
    for name, column in columns.items():
        table = table.set_column(table.schema.get_field_index(name), name, column)
    pq.write_table(table, out)
    return out.getvalue()


def hashed(candidate: str) -> str:
    return hashlib.sha256(f"acme\n{candidate}".encode()).hexdigest()


def loaded(warehouse: duckdb.DuckDBPyConnection) -> list[str]:
    return [name for (name,) in warehouse.execute("SELECT operation_id FROM ops.operations ORDER BY 1").fetchall()]


def quarantine(warehouse: duckdb.DuckDBPyConnection) -> list[tuple[str, int | None, str]]:
    return warehouse.execute(
        "SELECT file, row_number, reason FROM ops.operation_rejects ORDER BY file, row_number"
    ).fetchall()


# --- the guide ------------------------------------------------------------------------------------------------------


def test_the_examples_of_the_guide_load_and_it_names_every_column(
    inbox: Inbox, warehouse: duckdb.DuckDBPyConnection
) -> None:
    text = GUIDE.read_text()
    examples = {kind: re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL) for kind in ("csv", "jsonl")}
    assert inbox(log_csv=examples["csv"][0], log_jsonl=examples["jsonl"][0]) == Taken(2, 4, 0)
    table = {line.split("|")[1].strip(): line.split("|")[3].strip() for line in text.splitlines() if "| `" in line[:3]}
    needed = {name.strip("`"): there for name, there in table.items() if name.strip("`") in COLUMNS}
    assert needed == {name: "yes" if name in REQUIRED else "" for name in COLUMNS}
    rows = warehouse.execute(
        """
        SELECT operation_id, type, occurred_at, usage_date, tenant_id, job_id, job_title, candidate_sha256, tokens,
            quantity, unit, success, loaded_at FROM ops.operations ORDER BY 1
        """
    ).fetchall()
    day = date(2026, 6, 14)
    question = datetime(2026, 6, 14, 7, 31, 12, tzinfo=UTC)
    assert [tuple(each[:2]) for each in rows] == [
        ("op-1001", "cv-parsing"),
        ("op-1002", "question-generation"),
        ("op-1003", "video-interview"),
        ("op-1004", "cv-parsing"),
    ]
    assert rows[1][2:] == (question, day, "acme", "job-7", "Data engineer", None, 780, 5, "questions", True, NOW)
    assert rows[2][5:9] == ("job-8", "Nurse, night shift", hashed("Alan Turing"), None)
    assert rows[2][9:12] == (Decimal("12.5"), "minutes", False)
    assert rows[3][5:8] == ("", None, None)


# --- formats --------------------------------------------------------------------------------------------------------


def test_a_row_means_the_same_in_every_format(inbox: Inbox, warehouse: duckdb.DuckDBPyConnection) -> None:
    when = datetime(2026, 6, 14, 9, 30, tzinfo=UTC)
    typed = {"tokens": 6200, "quantity": Decimal("1.500000"), "success": True}
    inbox(
        a_csv="\ufeff" + csv_of(row(1, quantity="1.5")),
        b_jsonl='{"operation_id": "op-2", "type": "cv-parsing", "occurred_at": "2026-06-14T11:30:00+02:00", '
        '"tenant_id": "acme", "tokens": 6200, "quantity": 1.50, "unit": "cvs", "success": true, "candidate": null}\n',
        c_parquet=parquet_of([row(3, occurred_at=when, **typed)], quantity=pl.Decimal(18, 6)),
        d_parquet=parquet_of([row(4, quantity=1.5)]),
    )
    assert quarantine(warehouse) == []
    rows = warehouse.execute("SELECT * EXCLUDE (operation_id) FROM ops.operations").fetchall()
    assert len(rows) == 4
    assert len(set(rows)) == 1


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu", "-03:30"])
def test_an_instant_of_a_parquet_file_has_any_unit_and_any_time_zone(
    inbox: Inbox, warehouse: duckdb.DuckDBPyConnection, unit: str, zone: str
) -> None:
    instants = pa.array([datetime(2026, 6, 14, 9, 30, tzinfo=UTC)], pa.timestamp(unit, zone))
    assert inbox(a_csv=csv_of(row(2)), b_parquet=arrow_of([row(1)], occurred_at=instants)) == Taken(2, 2, 0)
    rows = warehouse.execute("SELECT * EXCLUDE (operation_id) FROM ops.operations").fetchall()
    assert len(set(rows)) == 1


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("quantity", pa.array([Decimal("1.0000")], pa.decimal256(60, 4))),
        ("quantity", pa.array([Decimal("1.0")], pa.decimal32(5, 1))),
        ("quantity", pa.array([1.0], pa.float32())),
        ("quantity", pa.array([1], pa.int8())),
        ("tokens", pa.array([6200.0])),
        ("tokens", pa.array([6200], pa.uint64())),
        ("unit", pa.array(["cvs"], pa.string_view())),
        ("unit", pa.array([b"cvs"])),
        ("unit", pa.array(["cvs"]).dictionary_encode()),
    ],
    ids=lambda value: str(getattr(value, "type", value)),
)
def test_a_value_of_a_parquet_file_has_any_kind_that_can_mean_it(
    inbox: Inbox, warehouse: duckdb.DuckDBPyConnection, name: str, column: pa.Array
) -> None:
    assert inbox(a_csv=csv_of(row(2)), b_parquet=arrow_of([row(1)], **{name: column})) == Taken(2, 2, 0)
    rows = warehouse.execute("SELECT * EXCLUDE (operation_id) FROM ops.operations").fetchall()
    assert len(set(rows)) == 1


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        *((float("nan"), None), (1e12, None), (1e13, "tokens: is not"), (0.5, "tokens: is not")),
        (float("inf"), "tokens: is not"),
    ],
)
def test_a_number_that_floats_is_its_shortest_decimal(
    inbox: Inbox, warehouse: duckdb.DuckDBPyConnection, tokens: float, said: str | None
) -> None:
    """As pandas writes whole numbers of which some are missing."""
    inbox(a_parquet=arrow_of([row(1)], tokens=pa.array([tokens])))
    assert [reason[: len(said or "")] for _, _, reason in quarantine(warehouse)] == ([said] if said else [])
    kept = warehouse.execute("SELECT tokens FROM ops.operations").fetchall()
    assert kept == ([] if said else [(None if tokens != tokens else 10**12,)])


@pytest.mark.parametrize("kind", [pa.float32(), pa.float64()], ids=str)
def test_a_narrow_number_that_floats_means_what_its_own_width_says(
    inbox: Inbox, warehouse: duckdb.DuckDBPyConnection, kind: pa.DataType
) -> None:
    assert inbox(a_parquet=arrow_of([row(1)], quantity=pa.array([12.3]).cast(kind))) == Taken(1, 1, 0)
    assert warehouse.execute("SELECT quantity FROM ops.operations").fetchall() == [(Decimal("12.3"),)]


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
@pytest.mark.parametrize("year", [-65536 + 2026, 1999, 2101, 65536 + 2026])
def test_an_instant_of_another_age_is_refused_and_keeps_no_other_row_out(
    inbox: Inbox, warehouse: duckdb.DuckDBPyConnection, year: int, unit: str, capfd: pytest.CaptureFixture[str]
) -> None:
    per_second = {"s": 1, "ms": 10**3, "us": 10**6}[unit]
    seconds = [round((year - 1970) * 365.2425 * 86_400), 1_781_400_000]
    instants = pa.array([each * per_second for each in seconds], pa.int64()).cast(pa.timestamp(unit, "UTC"))
    assert inbox(a_parquet=arrow_of([row(1), row(2)], occurred_at=instants)) == Taken(1, 1, 1)
    ((_, number, said),) = quarantine(warehouse)
    assert (number, said[:26]) == (1, "occurred_at: is not an ins")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("letter", "rows"), [("a", 5200), ("\u00e9", 1400), ("\U0001f600", 1400)])
def test_a_short_file_of_endless_text_is_refused_before_it_fills_the_memory(
    inbox: Inbox, warehouse: duckdb.DuckDBPyConnection, letter: str, rows: int
) -> None:
    """Python keeps a text as wide as its widest letter: one may make four bytes of each."""
    titles = pa.array(["a" * (MAX_TEXT_BYTES - 4) + letter]).take(pa.array([0] * rows)).dictionary_encode()
    content = arrow_of([row(number, job_title="") for number in range(rows)], job_title=titles)
    assert len(content) < 1_000_000
    assert inbox(a_parquet=content) == Taken(1, 0, 1)
    assert quarantine(warehouse) == [("a.parquet", None, "it holds more than 512 MB unpacked; split it")]


def test_the_candidate_may_have_any_name(inbox: Inbox, warehouse: duckdb.DuckDBPyConnection) -> None:
    names = ["=1+1", "<script>", "a\u200db", "Robert'); DROP TABLE ops.operations;--", "ع\u200cل", "a\0b"]
    assert inbox(a_jsonl=jsonl_of(*(row(n, candidate=name) for n, name in enumerate(names)))) == Taken(1, 6, 0)
    kept = warehouse.execute("SELECT candidate_sha256 FROM ops.operations ORDER BY operation_id").fetchall()
    assert kept == [(hashed(name),) for name in names]


# --- quarantine: rows -----------------------------------------------------------------------------------------------

SECRET = "Ada Lovelace"  # where a column slipped, a name stands where it should not


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"operation_id": ""}, "operation_id is missing"),
        ({"operation_id": "x" * 501}, "operation_id: String should have at most 500 characters"),
        ({"operation_id": "a\u202eb"}, "operation_id: holds characters that cannot be printed"),
        ({"type": SECRET}, "type: String should match pattern '^[a-z0-9][a-z0-9-]{0,63}$'"),
        ({"occurred_at": "2026-06-14T09:30:00"}, "occurred_at: is not an instant with its offset"),
        ({"occurred_at": "2026-06-31T09:30:00Z"}, "occurred_at: day is out of range for month"),
        ({"occurred_at": SECRET}, "occurred_at: is not an instant"),
        ({"occurred_at": "2026-06-15T02:00:01Z"}, "occurred_at: is in the future"),
        ({"occurred_at": "2023-12-31T23:59:59Z"}, "occurred_at: is before 2024-01-01"),
        ({"tenant_id": "nobody"}, "tenant_id: there is no such tenant"),
        ({"tenant_id": "unallocated"}, "tenant_id: there is no such tenant"),
        ({"tokens": SECRET}, "tokens: is not a whole number"),
        ({"tokens": "12.0"}, "tokens: is not a whole number"),
        ({"tokens": "-1"}, "tokens: is not a whole number"),
        ({"tokens": "1000000000001"}, "tokens: is not a whole number"),
        ({"tokens": "١٢"}, "tokens: is not a whole number"),
        ({"quantity": "NaN"}, "quantity: is not a number"),
        ({"quantity": "-1"}, "quantity: is not a number"),
        ({"quantity": "1e3"}, "quantity: is not a number"),
        ({"quantity": "100000.5"}, "quantity: is not a number"),
        ({"quantity": "1.1234567"}, "quantity: is not a number"),
        ({"unit": "hours"}, "unit: Input should be 'cvs', 'questions' or 'minutes'"),
        ({"success": "yes"}, "success: is neither true nor false"),
        ({"success": "true,1"}, "9 fields, and the header has 8"),
    ],
)
def test_a_bad_row_is_named_and_keeps_no_other_out(
    inbox: Inbox, warehouse: duckdb.DuckDBPyConnection, changed: dict[str, object], reason: str
) -> None:
    assert inbox(a_csv=csv_of(row(1), row(2, **changed), row(3))) == Taken(1, 2, 1)
    assert loaded(warehouse) == ["op-1", "op-3"]
    ((file, number, said),) = quarantine(warehouse)
    assert (file, number) == ("a.csv", 3)
    assert said.startswith(reason)
    assert SECRET not in said


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"operation_id": ', "the line is not a JSON object"),
        ("[]", "the line is not a JSON object"),
        (json.dumps(row(2))[:-1] + ', "quantity": "2"}', "the line is not a JSON object, or holds a name twice"),
        ("[" * 100_000, "the line is not a JSON object"),
        ("1" * 5000, "the line is not a JSON object"),
        (json.dumps(row(2, tokens=[1])), "tokens: is neither text nor a number"),
        (json.dumps(row(2, quantity=float("inf"))), "quantity: is neither text nor a number"),
        (json.dumps(row(2, **{SECRET: 1})), "there is a field that is not known; known are operation_id, type"),
        (json.dumps(row(2, **{SECRET: [1]})), "a field: is neither text nor a number"),
        (json.dumps(row(2, candidate="\ud800")), "candidate: Input should be a valid string"),
        (json.dumps(row(2, **{f"{SECRET}\ud800": 1})), "there is a field that is not known; known are operation_id"),
        ('{"quantity": 1e999999999}', "quantity: is beyond any real number"),
        ('{"quantity": 0e-999999999999}', "quantity: is beyond any real number"),
        ('{"a": 1e999999999}', "a field: is beyond any real number"),
        ('{"quantity": 1e9999999999999999999}', "the line is not a JSON object"),
    ],
)
def test_a_bad_line_likewise(inbox: Inbox, warehouse: duckdb.DuckDBPyConnection, line: str, reason: str) -> None:
    inbox(a_jsonl=jsonl_of(row(1)) + "\n" + line + "\n" + jsonl_of(row(3)))
    assert loaded(warehouse) == ["op-1", "op-3"]
    ((_, number, said),) = quarantine(warehouse)
    assert number == 3
    assert said.startswith(reason)
    assert SECRET not in said


def test_lines_are_counted_as_an_editor_does(inbox: Inbox, warehouse: duckdb.DuckDBPyConnection) -> None:
    text = HEAD.replace("tokens", "candidate") + '\n{},"two\nlines",1,cvs,true\n{},x,one,cvs,true\n'
    inbox(a_csv=text.format("a,cv-parsing,2026-06-14T09:30:00Z,acme", "b,cv-parsing,2026-06-14T09:30:00Z,acme"))
    assert [number for _, number, _ in quarantine(warehouse)] == [5]


# --- quarantine: files ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a_csv", csv_of(row(1))[:-1], "the last line has no end"),
        ("a_csv", csv_of(row(1))[:-9], "the last line has no end"),
        ("a_jsonl", jsonl_of(row(1))[:-1], "the last line has no end"),
        ("a_csv", csv_of(row(1)).encode() + b"\xff\n", "this is not text in UTF-8"),
        ("a_csv", "", "there is no header"),
        ("a_csv", HEAD.replace(",unit", ""), "the column(s) unit are missing"),
        ("a_csv", HEAD.replace("tokens", "tokenz"), "a column is not known, or stands there twice"),
        ("a_csv", HEAD.replace("tokens", "unit"), "a column is not known, or stands there twice"),
        ("a_csv", csv_of(row(1)) + 'op-2,"cv\n', "line 3 is not CSV"),
        ("a_parquet", b"", "this is not a Parquet file"),
        ("a_parquet", parquet_of([row(1)])[:-1], "this is not a Parquet file"),
        ("a_parquet", parquet_of([row(1, occurred_at=datetime(2026, 6, 14))]), "occurred_at has no time zone"),  # noqa: DTZ001
        ("a_parquet", parquet_of([row(1, success=[True])]), "the column success is of a kind it cannot have"),
        ("a_parquet", parquet_of([row(1, operation_id=1e15)]), "the column operation_id is of a kind"),
        ("a_parquet", parquet_of([row(1, job_title=date(1985, 3, 2))]), "the column job_title is of a kind"),
        ("a_parquet", parquet_of([row(1, candidate=datetime(1985, 3, 2))]), "the column candidate is of a kind"),  # noqa: DTZ001
        ("a_parquet", arrow_of([row(1)], quantity=pa.array([1.5], pa.float16())), "the column quantity is of a kind"),
        ("a_parquet", delta_encoded(row(1)), "the column operation_id is DELTA encoded; write it plain"),
        ("a_parquet", parquet_of([row(1, extra=1)]), "a column is not known"),
        ("a_parquet", parquet_of([row(1, operation_id="x" * (MAX_TEXT_BYTES + 1))]), "a value is longer"),
    ],
)
def test_of_a_file_that_is_not_whole_nothing_is_loaded(
    inbox: Inbox, warehouse: duckdb.DuckDBPyConnection, name: str, content: bytes | str, reason: str
) -> None:
    assert inbox(**{name: content, "b_csv": csv_of(row(9))}) == Taken(2, 1, 1)
    assert loaded(warehouse) == ["op-9"]
    ((file, number, said),) = quarantine(warehouse)
    assert (file, number) == (name.replace("_", "."), None)
    assert said.startswith(reason)


def test_a_file_that_is_too_large_is_not_even_read(
    inbox: Inbox, warehouse: duckdb.DuckDBPyConnection, folder: Path
) -> None:
    with (folder / "a.csv").open("wb") as file:
        file.truncate(MAX_BYTES + 1)  # a hole: no such bytes on disk
    assert inbox() == Taken(1, 0, 1)
    assert quarantine(warehouse) == [("a.csv", None, "it is larger than 64 MB; split it")]


def test_hidden_files_other_endings_links_and_devices_are_not_read(
    inbox: Inbox, warehouse: duckdb.DuckDBPyConnection, folder: Path
) -> None:
    for name in (".a.csv", "a.csv.part", "a.csv.tmp", "readme.txt", "noending"):
        (folder / name).write_text(csv_of(row(1)))
    assert inbox() == Taken()
    (folder / "link.csv").symlink_to(folder / "readme.txt")
    os.mkfifo(folder / "pipe.csv")
    (folder / "folder.csv").mkdir()
    assert inbox() == Taken(3, 0, 3)
    assert loaded(warehouse) == []
    assert [(name, number) for name, number, _ in quarantine(warehouse)] == [
        ("folder.csv", None),
        ("link.csv", None),
        ("pipe.csv", None),
    ]


def test_a_hostile_file_name_is_data(inbox: Inbox, warehouse: duckdb.DuckDBPyConnection, folder: Path) -> None:
    name = b"x'); DROP TABLE ops.operations;--\x1b[2J\n\xff.csv"
    (folder / os.fsdecode(name)).write_text(csv_of(row(1), row(2, unit="?")))
    assert inbox() == Taken(1, 1, 1)
    assert quarantine(warehouse)[0][0] == r"x'); DROP TABLE ops.operations;--\u001b[2J\u000a\xff.csv"


def test_without_a_folder_there_is_nothing_to_do_and_a_file_in_its_place_is_said(
    warehouse: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    assert take_in(warehouse, tmp_path / "none", NOW) == Taken()
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"Cannot read the inbox .*: Not a directory"):
        take_in(warehouse, tmp_path / "file", NOW)


# --- once, however often --------------------------------------------------------------------------------------------


def everything(warehouse: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[Any, ...]]]:
    tables = ("ops.operations", "ops.operation_files", "ops.operation_rejects")
    return {table: warehouse.execute(f"FROM {table} ORDER BY ALL").fetchall() for table in tables}


def test_twice_changes_nothing_and_marks_no_month(inbox: Inbox, warehouse: duckdb.DuckDBPyConnection) -> None:
    inbox(a_csv=csv_of(row(1), row(2, occurred_at="2026-05-31T23:59:59Z")), b_csv=csv_of(row(3), row(4, unit="?")))
    assert warehouse.execute("SELECT DISTINCT month FROM ops.dirty_months ORDER BY 1").fetchall() == [
        ("2026-05",),
        ("2026-06",),
    ]
    warehouse.execute("DELETE FROM ops.dirty_months")
    before = everything(warehouse)
    assert inbox() == Taken(1, 0, 1)  # the one with a row in quarantine is tried again
    assert everything(warehouse) == before
    assert warehouse.execute("FROM ops.dirty_months").fetchall() == []


def test_other_bytes_names_and_formats_bring_only_what_is_new(
    inbox: Inbox, warehouse: duckdb.DuckDBPyConnection
) -> None:
    first = csv_of(row(1), row(2))
    assert inbox(a_csv=first) == Taken(1, 2, 0)
    assert inbox(copy_csv=first) == Taken()
    assert inbox(a_csv=first + csv_of(row(3)).removeprefix(HEAD)) == Taken(1, 1, 0)
    assert inbox(b_csv=csv_of(row(3), row(2), row(2), row(4))) == Taken(1, 1, 0)
    assert inbox(c_jsonl=jsonl_of(row(1), row(5))) == Taken(1, 1, 0)
    assert inbox(d_parquet=parquet_of([row(5), row(6)])) == Taken(1, 1, 0)
    assert loaded(warehouse) == [f"op-{n}" for n in range(1, 7)]
    assert quarantine(warehouse) == []
    files = warehouse.execute("SELECT file, rows, loaded, rejected FROM ops.operation_files ORDER BY ALL").fetchall()
    assert files == [
        ("a.csv", 2, 2, 0),
        ("a.csv", 3, 1, 0),
        ("b.csv", 4, 1, 0),
        ("c.jsonl", 2, 1, 0),
        ("d.parquet", 2, 1, 0),
    ]


def test_a_known_id_with_other_content_is_quarantined_and_what_was_loaded_stays(
    inbox: Inbox, warehouse: duckdb.DuckDBPyConnection
) -> None:
    inbox(a_csv=csv_of(row(1)))
    before = warehouse.execute("FROM ops.operations").fetchall()
    assert inbox(b_csv=csv_of(row(1, tokens=""), row(2), row(2, tokens="7"), row(1))) == Taken(1, 1, 3)
    assert [number for _, number, _ in quarantine(warehouse)] == [2, 4, 5]
    assert warehouse.execute("FROM ops.operations WHERE operation_id = 'op-1'").fetchall() == before


def test_a_corrected_file_and_a_tenant_registered_later_empty_the_quarantine(
    inbox: Inbox, warehouse: duckdb.DuckDBPyConnection
) -> None:
    inbox(a_csv=csv_of(row(1), row(2, unit="?")), b_csv=csv_of(row(3, tenant_id="late")), c_csv=csv_of(row(4))[:-1])
    assert len(quarantine(warehouse)) == 3
    save_tenant(warehouse, Tenant("late", "Late", None, None, "USD", None), {}, NOW)
    assert inbox(a_csv=csv_of(row(1), row(2)), c_csv=csv_of(row(4))) == Taken(3, 3, 0)
    assert loaded(warehouse) == ["op-1", "op-2", "op-3", "op-4"]
    assert quarantine(warehouse) == []
