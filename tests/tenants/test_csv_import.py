"""The registry from a CSV file: all of it or nothing, twice is once, and no account has two owners."""

from __future__ import annotations

import csv
import unicodedata
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tokenboard_etl.errors import RegistryError
from tokenboard_etl.providers.sandbox.world import World
from tokenboard_etl.tenants.csv_import import COLUMNS, Imported, import_tenants
from tokenboard_etl.tenants.registry import Binding, bind, bindings_of, tenants
from tokenboard_etl.warehouse.connection import configure
from tokenboard_etl.warehouse.migrations import migrate

NOW = datetime(2026, 6, 15, 2, 0, tzinfo=UTC)
Import = Callable[..., Imported]


@pytest.fixture
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    configure(connection)
    migrate(connection)
    yield connection
    connection.close()


def line(name: str, **more: str) -> dict[str, str]:
    return {**dict.fromkeys(COLUMNS, ""), "name": name, **more}


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def imported(warehouse: duckdb.DuckDBPyConnection, tmp_path: Path) -> Import:
    """Writes rows into a file and imports it."""
    return lambda *rows, at=NOW: import_tenants(warehouse, write(tmp_path / "tenants.csv", list(rows)), at)


def registry(connection: duckdb.DuckDBPyConnection) -> tuple[list[Any], list[Any]]:
    return (
        connection.execute("FROM registry.tenants ORDER BY ALL").fetchall(),
        connection.execute("FROM registry.accounts ORDER BY ALL").fetchall(),
    )


def test_a_row_becomes_a_tenant_with_its_accounts(imported: Import, warehouse: duckdb.DuckDBPyConnection) -> None:
    done = imported(
        line(
            " Team Atlas ",
            tenant_id="atlas",
            industry="Retail",
            country="de",
            currency="eur",
            billing_email="bills@atlas.example",
            openai_project_id="proj_1",
            openrouter_key_hash="abc",
            valid_from="2026-01-31",
        )
    )
    assert done == Imported(tenants=1, bindings=2)
    (tenant,) = tenants(warehouse)
    assert (tenant.tenant_id, tenant.name, tenant.industry) == ("atlas", "Team Atlas", "Retail")
    assert (tenant.country, tenant.currency, tenant.billing_email) == ("DE", "EUR", "bills@atlas.example")
    assert tenant.description == "Project for Team Atlas - Retail"
    start = date(2026, 1, 31)
    assert bindings_of(warehouse, "openai", "proj_1") == [Binding("atlas", "openai", "project", "proj_1", start)]
    assert bindings_of(warehouse, "openrouter", "abc") == [Binding("atlas", "openrouter", "key", "abc", start)]


def test_the_example_can_be_imported(warehouse: duckdb.DuckDBPyConnection) -> None:
    imported = import_tenants(warehouse, Path(__file__).parents[2] / "docs" / "tenants.example.csv", NOW)
    assert (imported.tenants, imported.bindings) == (2, 3)


def test_what_is_not_given_has_a_default(imported: Import, warehouse: duckdb.DuckDBPyConnection) -> None:
    assert imported(line("Team Atlas")) == Imported(tenants=1, bindings=0)
    (tenant,) = tenants(warehouse)
    assert (tenant.tenant_id, tenant.industry, tenant.country, tenant.currency) == ("team-atlas", None, None, "USD")
    assert tenant.description == "Project for Team Atlas - unspecified"


def test_a_tenant_may_stand_on_several_rows(imported: Import, warehouse: duckdb.DuckDBPyConnection) -> None:
    done = imported(
        line("Atlas", openai_project_id="p1", valid_from="2026-01-01"),
        line("Atlas", openai_project_id="p2", valid_from="2026-02-01"),
        line("Other", openai_project_id="p3", valid_from="2026-01-01"),
        line("atlas", openrouter_key_hash="h1", valid_from="2026-03-01"),
    )
    assert done.bindings == 4
    accounts = warehouse.execute("SELECT tenant_id, account_id FROM registry.accounts ORDER BY 2").fetchall()
    assert accounts == [("atlas", "h1"), ("atlas", "p1"), ("atlas", "p2"), ("other", "p3")]
    assert [tenant.tenant_id for tenant in tenants(warehouse)] == ["atlas", "other"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Team Atlas", "TEAM ATLAS"),
        ("Stra\u00dfe", "STRASSE"),
        (unicodedata.normalize("NFC", "Caf\u00e9"), unicodedata.normalize("NFD", "caf\u00e9")),
        ("Team Atlas", "  team atlas  "),
    ],
)
def test_a_name_in_another_case_or_unicode_form_is_the_same_tenant(
    imported: Import, warehouse: duckdb.DuckDBPyConnection, first: str, second: str
) -> None:
    imported(line(first), line(second))
    imported(line(second))
    assert len(tenants(warehouse)) == 1


def test_one_name_for_two_ids_is_refused(imported: Import, warehouse: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(RegistryError, match="line 3: The name 'ATLAS' belongs to the tenant a1 already"):
        imported(line("Atlas", tenant_id="a1"), line("ATLAS", tenant_id="a2"))
    assert registry(warehouse) == ([], [])


def test_two_names_with_one_plain_form_get_two_ids(imported: Import, warehouse: duckdb.DuckDBPyConnection) -> None:
    imported(line("Team Atlas"), line("Team-Atlas"), line("Team/Atlas"))
    assert [tenant.tenant_id for tenant in tenants(warehouse)] == ["team-atlas", "team-atlas-2", "team-atlas-3"]
    before = registry(warehouse)
    assert imported(line("Team/Atlas"), line("Team Atlas"), line("Team-Atlas")) == Imported(0, 0)
    assert registry(warehouse) == before


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        "'; DROP TABLE registry.tenants; --",
        "../../etc/passwd",
        'quote"d, with comma',
        "=HYPERLINK(1)",
        "x" * 200,
        "\u6771\u4eac",
        "NULL",
        "NA",
        "1.0",
        "007",
        "true",
    ],
)
def test_names_are_stored_as_they_are_and_do_nothing(
    imported: Import, warehouse: duckdb.DuckDBPyConnection, name: str
) -> None:
    imported(line(name, openai_project_id="00123", valid_from="2026-01-01"))
    (tenant,) = tenants(warehouse)
    assert tenant.name == name
    assert bindings_of(warehouse, "openai", "00123")
    assert imported(line(name, openai_project_id="00123", valid_from="2026-01-01")) == Imported(0, 0)


GOOD = line("Good", openai_project_id="proj_good", valid_from="2026-01-01")


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (line(""), "is empty"),
        (line("   "), "is empty"),
        (line("x" * 300), "300 characters"),
        (line("a\nb"), r"U\+000A"),
        (line("a\u202eb"), r"U\+202E"),
        (line("a\u2066b"), r"U\+2066"),
        (line("a\x00b"), r"U\+0000"),
        (line("x", tenant_id="Not An Id"), "is not a tenant id"),
        (line("x", tenant_id="../x"), "is not a tenant id"),
        (line("x", tenant_id="unallocated"), "reserved"),
        (line("x", tenant_id="x" * 49), "is not a tenant id"),
        (line("x", country="Germany"), "two-letter country code"),
        (line("x", country="D1"), "two-letter country code"),
        (line("x", currency="DOLLAR"), "ISO 4217"),
        (line("x", currency="XX"), "ISO 4217"),
        (line("x", industry="a\u200eb"), "industry"),
        (line("x", billing_email="a@b\nBcc: c@d"), "e-mail"),
        (line("x", openai_project_id="p", valid_from=""), "valid_from is ''"),
        (line("x", openai_project_id="p", valid_from="31.01.2026"), "valid_from"),
        (line("x", openai_project_id="p", valid_from="2026-02-30"), "valid_from"),
        (line("x", openrouter_key_hash="p", valid_from="soon"), "valid_from"),
        (line("x", openai_project_id="proj_good", valid_from="2026-05-01"), "belongs to good"),
    ],
)
def test_one_bad_row_refuses_the_whole_file_and_names_its_line(
    imported: Import, warehouse: duckdb.DuckDBPyConnection, bad: dict[str, str], words: str
) -> None:
    with pytest.raises(RegistryError, match=words) as raised:
        imported(GOOD, bad, line("Later", openai_project_id="proj_later", valid_from="2026-01-01"))
    assert str(raised.value).startswith("tenants.csv, line 3: ")
    assert str(raised.value).endswith("Nothing was imported.")
    assert registry(warehouse) == ([], [])
    assert warehouse.execute("SELECT count(*) FROM ops.dirty_months").fetchall() == [(0,)]


def test_the_line_is_the_files_own_even_after_a_line_break_in_quotes(imported: Import) -> None:
    with pytest.raises(RegistryError, match="line 4: "):
        imported(line("Good\n"), line("", tenant_id="bad"))


def test_the_line_is_found_beyond_a_field_larger_than_the_csv_modules_own_limit(imported: Import) -> None:
    with pytest.raises(RegistryError, match=r"line 2: The industry has 200000 characters"):
        imported(line("Atlas", industry="x" * 200_000))


@pytest.mark.parametrize(
    "field", ["tenant_id", "country", "currency", "openai_project_id", "openrouter_key_hash", "valid_from"]
)
def test_a_long_field_is_repeated_in_short(imported: Import, field: str) -> None:
    given = line("Atlas", openai_project_id="p1", valid_from="2026-01-01")
    with pytest.raises(RegistryError, match=r"(?i)line 2: .*x{20}\.\.\.x{20}") as raised:
        imported({**given, field: "x" * 5_000})
    assert len(str(raised.value)) < 300


def test_columns_that_are_not_read_are_named(
    warehouse: duckdb.DuckDBPyConnection, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """`limit` is not `limit_usd`: without a word, nobody would notice that there is none."""
    file = tmp_path / "tenants.csv"
    file.write_text(",".join((*COLUMNS, "limit", "Tax_ID")) + "\n,Atlas" + "," * (len(COLUMNS)) + "\n")
    assert import_tenants(warehouse, file, NOW).tenants == 1
    assert "tenants.csv has columns that are not read: limit, Tax_ID" in caplog.text


@pytest.mark.parametrize(
    ("start", "other"), [("2026-01-01", "2026-01-01"), ("2026-01-01", "2027-01-01"), ("2026-05-01", "2026-01-01")]
)
def test_an_account_of_another_tenant_is_refused(
    imported: Import, warehouse: duckdb.DuckDBPyConnection, start: str, other: str
) -> None:
    imported(line("One", openai_project_id="p1", valid_from=start))
    before = registry(warehouse)
    with pytest.raises(RegistryError, match=f"p1 belongs to one from {start} without an end") as raised:
        imported(line("Two", openai_project_id="p1", valid_from=other))
    assert "End the first binding, or correct the date" in str(raised.value)
    assert registry(warehouse) == before


def test_two_rows_of_one_file_cannot_claim_one_account(imported: Import) -> None:
    with pytest.raises(RegistryError, match="line 3: openrouter key h1 belongs to one"):
        imported(
            line("One", openrouter_key_hash="h1", valid_from="2026-01-01"),
            line("Two", openrouter_key_hash="h1", valid_from="2026-02-01"),
        )


def test_an_account_may_pass_on_when_the_first_binding_has_ended(
    imported: Import, warehouse: duckdb.DuckDBPyConnection
) -> None:
    imported(line("One"))
    bind(warehouse, Binding("one", "openai", "project", "p1", date(2026, 1, 1), date(2026, 3, 1)), NOW)
    with pytest.raises(RegistryError, match="until 2026-03-01"):
        imported(line("Two", openai_project_id="p1", valid_from="2026-02-28"))
    assert imported(line("Two", openai_project_id="p1", valid_from="2026-03-01")) == Imported(1, 1)


_days = st.integers(0, 12).map(lambda number: date(2026, 1, 1) + timedelta(days=number))
_bindings = st.builds(
    Binding,
    st.just("t"),
    st.sampled_from(("openai", "openrouter")),
    st.sampled_from(("project", "api_key")),
    st.sampled_from(("a", "b")),
    _days,
    st.none() | _days,
)


@given(_bindings, _bindings)
def test_bindings_overlap_if_they_share_a_day_of_one_account(one: Binding, two: Binding) -> None:
    horizon = [date(2026, 1, 1) + timedelta(days=number) for number in range(20)]

    def claimed(binding: Binding) -> set[tuple[str, str, str, date]]:
        account = (binding.provider, binding.kind, binding.account_id)
        until = binding.valid_until or date.max
        return {(*account, day) for day in horizon if binding.valid_from <= day < until}

    assume(claimed(one) and claimed(two))
    assert one.overlaps(two) is two.overlaps(one) is bool(claimed(one) & claimed(two))


def test_one_id_at_both_providers_is_two_accounts(imported: Import) -> None:
    done = imported(
        line("One", openai_project_id="x", valid_from="2026-01-01"),
        line("Two", openrouter_key_hash="x", valid_from="2026-01-01"),
    )
    assert done == Imported(2, 2)


def test_the_same_file_twice_changes_nothing(imported: Import, warehouse: duckdb.DuckDBPyConnection) -> None:
    rows = (GOOD, line("B\u00e4r", tenant_id="bear", country="de", openrouter_key_hash="h", valid_from="2026-02-01"))
    assert imported(*rows) == Imported(2, 2)
    before = registry(warehouse)
    assert imported(*rows, at=NOW + timedelta(days=30)) == Imported(0, 0)
    assert registry(warehouse) == before


def test_a_file_whose_rows_of_one_tenant_differ_changes_nothing_the_second_time(imported: Import) -> None:
    rows = (line("Atlas", industry="Mining", openai_project_id="p1", valid_from="2026-01-01"), line("Atlas"))
    imported(*rows)
    assert imported(*rows) == Imported(0, 0)


def test_what_is_known_of_a_tenant_is_updated_in_place(imported: Import, warehouse: duckdb.DuckDBPyConnection) -> None:
    imported(line("Atlas", tenant_id="a1"))
    assert imported(line("Atlas Ltd", tenant_id="a1", industry="Mining")) == Imported(1, 0)
    (tenant,) = tenants(warehouse)
    assert (tenant.tenant_id, tenant.name, tenant.description) == ("a1", "Atlas Ltd", "Project for Atlas Ltd - Mining")


def test_an_import_does_not_wake_a_suspended_tenant(imported: Import, warehouse: duckdb.DuckDBPyConnection) -> None:
    imported(line("Atlas"))
    warehouse.execute("UPDATE registry.tenants SET status = 'suspended'")
    imported(line("Atlas"))
    assert [tenant.status for tenant in tenants(warehouse)] == ["suspended"]


def test_a_name_that_was_given_up_is_free_for_another_tenant(
    imported: Import, warehouse: duckdb.DuckDBPyConnection
) -> None:
    imported(line("Atlas", tenant_id="a1"))
    imported(line("Boreas", tenant_id="a1"), line("Atlas", tenant_id="a2"))
    assert {tenant.tenant_id: tenant.name for tenant in tenants(warehouse)} == {"a1": "Boreas", "a2": "Atlas"}


def test_loaded_months_are_rated_anew_after_an_import(imported: Import, warehouse: duckdb.DuckDBPyConnection) -> None:
    warehouse.execute(
        "INSERT INTO ops.load_days VALUES ('l', 'openai', 'openai', 'costs', '2026-05-31', $now, $now, 0, 0)",
        {"now": NOW},
    )
    imported(GOOD)
    assert warehouse.execute("SELECT DISTINCT month FROM ops.dirty_months").fetchall() == [("2026-05",)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is not a CSV file in UTF-8"),
        (b"name\nAtlas\n", "lacks the column"),
        (b"\xff\xfe\x00binary\x00", "lacks the column|is not a CSV file in UTF-8"),
        (",".join(COLUMNS).encode() + b"\n,\xff\xfe,,,,,,,\n", "is not a CSV file in UTF-8"),
        (",".join(COLUMNS).encode() + b"\na,b,c,d,e,f,g,h,i,j,k\n", "is not a CSV file in UTF-8"),
        (",".join(COLUMNS).encode() + b",\xed\xa0\xbd\n,Atlas,,,,,,,,\n", "is not a CSV file in UTF-8: see line 1"),
    ],
)
def test_a_file_that_is_no_table_of_tenants_is_refused(
    warehouse: duckdb.DuckDBPyConnection, tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / "tenants.csv"
    path.write_bytes(content)
    with pytest.raises(RegistryError, match=words):
        import_tenants(warehouse, path, NOW)
    assert registry(warehouse) == ([], [])


def test_a_file_that_is_not_there_is_named(warehouse: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"absent\.csv"):
        import_tenants(warehouse, tmp_path / "absent.csv", NOW)
    with pytest.raises(RegistryError, match=tmp_path.name):
        import_tenants(warehouse, tmp_path, NOW)


def test_a_file_from_a_spreadsheet_is_read(warehouse: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    """With a byte order mark, Windows line ends, columns in another order and one more."""
    path = tmp_path / "tenants.csv"
    columns = ["note", *reversed(COLUMNS)]
    values = {"name": "B\u00e4r, Ltd", "tenant_id": "bear", "note": "x"}
    cells = (f'"{values.get(column, "")}"' for column in columns)
    path.write_bytes("\ufeff".encode() + "\r\n".join((",".join(columns), ",".join(cells), "")).encode())
    assert import_tenants(warehouse, path, NOW) == Imported(1, 0)
    assert [tenant.name for tenant in tenants(warehouse)] == ["B\u00e4r, Ltd"]


def test_a_file_with_a_header_only_changes_nothing(imported: Import) -> None:
    assert imported() == Imported(0, 0)


def test_the_worlds_own_file_is_imported(warehouse: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    world = World()
    path = tmp_path / "tenants.csv"
    path.write_text(world.tenants_csv(), encoding="utf-8")
    import_tenants(warehouse, path, NOW)
    org = world.organizations[0].id
    expected = {
        (tenant.tenant_id, account)
        for tenant in world.tenants
        for account in (*tenant.openai_projects[org], *tenant.openrouter_keys)
    }
    found = set(warehouse.execute("SELECT tenant_id, account_id FROM registry.accounts").fetchall())
    assert found == expected
    assert import_tenants(warehouse, path, NOW) == Imported(0, 0)


@pytest.mark.slow
def test_two_thousand_rows_are_imported(imported: Import, warehouse: duckdb.DuckDBPyConnection) -> None:
    rows = [
        line(
            f"Tenant {number // 2}",
            openai_project_id=f"proj_{number}",
            openrouter_key_hash=f"{number:064x}",
            valid_from="2026-01-01",
        )
        for number in range(2_000)
    ]
    assert imported(*rows) == Imported(tenants=1_000, bindings=4_000)
    assert len({tenant.tenant_id for tenant in tenants(warehouse)}) == 1_000
    assert imported(*rows) == Imported(0, 0)


@pytest.mark.parametrize("column", ["openai_project_id", "openrouter_key_hash"])
def test_a_key_in_place_of_an_id_is_refused_and_not_repeated(imported: Import, column: str) -> None:
    key = "sk-or-v1-0123456789abcdef"
    with pytest.raises(RegistryError, match="holds a key, not an id") as raised:
        imported(line("Atlas", **{column: key}))
    assert key not in str(raised.value)


def test_one_id_with_two_names_is_refused(imported: Import) -> None:
    with pytest.raises(RegistryError, match="line 3: a1 is 'Acme' on an earlier line and 'Beta' here"):
        imported(line("Acme", tenant_id="a1"), line("Beta", tenant_id="a1"))
