"""Tenants from a CSV file, and registrations from JSON files: taken, or refused with nothing changed."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing.clear import Outcomes, accepted_or_refused, inputs
from fuzzing.mutations import ANYTHING, as_json, mutated, plain, spoiled
from tokenboard_etl.tenants.csv_import import COLUMNS, OPTIONAL, import_tenants
from tokenboard_etl.tenants.provisioning.registering import registration_of
from tokenboard_etl.tenants.registrations import look, read_registration, register_once
from tokenboard_etl.warehouse.connection import configure
from tokenboard_etl.warehouse.migrations import migrate

NOW = datetime(2026, 6, 15, 2, 0, tzinfo=UTC)
HEADER = [*COLUMNS, *OPTIONAL]
TABLES = ("registry.tenants", "registry.accounts", "registry.tenant_names", "registry.registrations", "registry.audit")
ROWS = [
    dict(zip(HEADER, line.split("|"), strict=True))
    for line in (
        "acme|Acme|software|DE|EUR|a@acme.example|proj_1||2026-01-01|Acme AG|Street 1|DE1|50",
        f"|Bäckerei Müller||||||{'a' * 64}|2026-02-01||||",
        "acme|Acme|||||proj_2||2026-03-01||||49.50",
    )
]
REGISTRATION = {
    "registration_id": "r-1",
    "name": "Nimbus",
    "industry": "travel",
    "country": "DE",
    "email": "a@nimbus.example",
    "legal_name": "Nimbus AG",
    "address": "Street 1",
    "tax_id": "DE2",
    "currency": "EUR",
    "limit_usd": 12.5,
    "providers": ["openai", "openrouter"],
}


@pytest.fixture(scope="module")
def registry() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    configure(connection)
    migrate(connection)
    yield connection
    connection.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("inbox")


def known(connection: duckdb.DuckDBPyConnection) -> list[Any]:
    return [connection.execute(f"FROM {table} ORDER BY ALL").fetchall() for table in TABLES]


def emptied(connection: duckdb.DuckDBPyConnection) -> None:
    for table in TABLES:
        connection.execute(f"DELETE FROM {table}")


def as_csv(rows: Any) -> str:
    """Each row with its own fields, under the header of the first."""
    lines = [
        each if isinstance(each, dict) else {"name": each} for each in (rows if isinstance(rows, list) else [rows])
    ]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([plain(name) for name in (lines or [{}])[0]])
    writer.writerows([str(plain(value)) for value in line.values()] for line in lines)
    return out.getvalue()


CSVS = st.one_of(spoiled(mutated(st.just(ROWS)).map(as_csv)), spoiled(st.just(as_csv(ROWS))), ANYTHING)
JSONS = st.one_of(
    spoiled(mutated(st.just(REGISTRATION)).map(as_json)), spoiled(st.just(as_json(REGISTRATION))), ANYTHING
)


@inputs(3_000)
@given(CSVS)
def test_a_csv_file_is_imported_whole_or_nothing_of_it(
    registry: duckdb.DuckDBPyConnection, folder: Path, outcomes: Outcomes, content: bytes
) -> None:
    emptied(registry)
    (folder / "tenants.csv").write_bytes(content)
    before = known(registry)
    imported = False
    with accepted_or_refused(outcomes, "tenants (CSV)", "tenants.csv"):
        import_tenants(registry, folder / "tenants.csv", NOW)
        imported = True
    assert imported or known(registry) == before


@inputs(5_000)
@given(JSONS)
def test_a_registration_becomes_a_tenant_or_says_why_not(
    registry: duckdb.DuckDBPyConnection, outcomes: Outcomes, content: bytes
) -> None:
    emptied(registry)
    before = known(registry)
    registered = False
    with accepted_or_refused(outcomes, "registrations (JSON)"):
        found = read_registration(content)
        register_once(registry, found.registration_id, registration_of(**found.tenant), NOW)
        registered = True
    assert registered or known(registry) == before


@inputs(500, sample=10)
@given(st.lists(JSONS, min_size=1, max_size=3))
def test_what_is_in_the_inbox_is_read_waits_or_is_put_aside_with_the_reason(
    tmp_path_factory: pytest.TempPathFactory, outcomes: Outcomes, contents: list[bytes]
) -> None:
    inbox = tmp_path_factory.mktemp("registrations")
    for number, content in enumerate(contents):
        (inbox / f"{number}.json").write_bytes(content)
    with accepted_or_refused(outcomes, "registrations (inbox)"):
        first = look(inbox, {})
        again = look(inbox, first.versions)
    aside = {path.name for path in (inbox / "rejected").glob("*.json")}
    assert all((inbox / "rejected" / f"{name}.reason.txt").read_text().strip() for name in aside)
    assert not again.unreadable
    assert {dropped.file for dropped in again.dropped} | aside == {f"{number}.json" for number in range(len(contents))}
