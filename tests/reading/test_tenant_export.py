"""`export tenant`: a tenant can recompute its invoices, and learns nothing of anybody else, or of our cost."""

from __future__ import annotations

import os
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import duckdb
import pytest

from reading.conftest import CLOSED, CLOSED_AT, READ_AT, Ask, Run, Spent, spent_by, total
from tokenboard_etl.errors import WarehouseError, WrongUse
from tokenboard_etl.providers.sandbox.world import World
from tokenboard_etl.reading.focus import export_focus
from tokenboard_etl.reading.tenant_export import export_tenant

pytestmark = pytest.mark.slow

TENANTS = {tenant.tenant_id: tenant for tenant in World().tenants}
FILES = {"appendices.parquet", "check.sql", "days.parquet", "documents.parquet", "lines.parquet", "taxes.parquet"}


@pytest.fixture(scope="module")
def exports(world_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exports of all tenants of the world."""
    folder = tmp_path_factory.mktemp("exports")
    for tenant_id in TENANTS:
        export_tenant(world_home / "published" / "tokenboard.duckdb", tenant_id, folder)
    return folder


def values(folder: Path) -> set[Any]:
    """Every value of every file, and every column's name."""
    found: set[Any] = set()
    with duckdb.connect() as connection:
        for path in folder.glob("*.parquet"):
            relation = connection.sql("SELECT * FROM read_parquet($path)", params={"path": str(path)})
            found.update(relation.columns)
            for value in (value for row in relation.fetchall() for value in row):
                found.update(value if isinstance(value, list) else [value])
    return found


@pytest.fixture(scope="module")
def known(exports: Path) -> dict[str, set[Any]]:
    return {tenant_id: values(exports / f"tenant-{tenant_id}") for tenant_id in TENANTS}


def run_check(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[Any], list[Any]]:
    """The answers of both statements of check.sql, run in its folder."""
    monkeypatch.chdir(folder)
    with duckdb.connect() as connection:
        lines, documents = connection.extract_statements((folder / "check.sql").read_text())
        return connection.execute(lines).fetchall(), connection.execute(documents).fetchall()


def test_every_tenant_gets_the_same_files(exports: Path) -> None:
    for tenant_id in TENANTS:
        assert {path.name for path in (exports / f"tenant-{tenant_id}").iterdir()} == FILES
    assert len({(exports / f"tenant-{tenant_id}" / "check.sql").read_bytes() for tenant_id in TENANTS}) == 1


def test_the_sql_recomputes_every_invoice_from_the_files_alone(
    exports: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    for tenant_id in TENANTS:
        _, documents = run_check(exports / f"tenant-{tenant_id}", monkeypatch)
        assert all(agrees for *_, agrees in documents)
        seen += [(number, tenant_id, total_minor) for number, _, _, total_minor, *_ in documents]
    assert sorted(seen) == ask("SELECT invoice_number, tenant_id, total_minor FROM billing.invoices ORDER BY 1")
    assert len(seen) == len(TENANTS)


def test_an_invoice_that_is_off_by_a_cent_is_found(copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with duckdb.connect(copy) as connection:
        connection.execute("UPDATE billing.invoices SET total_minor = total_minor + 1")
    export_tenant(copy, "contoso-retail", tmp_path)
    _, documents = run_check(tmp_path / "tenant-contoso-retail", monkeypatch)
    assert [agrees for *_, agrees in documents] == [False]


def changes(tenant_id: str) -> Iterator[Fraction]:
    """What was restated in May since it was closed, in the tenant's prices."""
    for sign, seen_at in ((-1, CLOSED_AT), (1, READ_AT)):
        rows = (row for row in spent_by(seen_at) if (row.tenant_id, row.month) == (tenant_id, str(CLOSED)))
        yield from (sign * row.billed_usd for row in rows)


def test_the_days_are_the_worlds_and_their_difference_to_the_invoice_is_what_was_restated(
    exports: Path, spent: list[Spent], monkeypatch: pytest.MonkeyPatch
) -> None:
    restated = set()
    for tenant_id in TENANTS:
        folder = exports / f"tenant-{tenant_id}"
        with duckdb.connect() as connection:
            path = str(folder / "days.parquet")
            ((billed,),) = connection.execute("SELECT sum(billed_usd) FROM read_parquet($1)", [path]).fetchall()
        assert billed == total(row.billed_usd for row in spent if row.tenant_id == tenant_id)
        lines, _ = run_check(folder, monkeypatch)
        difference = total(Fraction(each) for *_, each in lines)
        assert difference == total(changes(tenant_id))
        restated.add(difference != 0)
    assert True in restated


@pytest.mark.parametrize("tenant_id", TENANTS)
def test_neither_our_cost_nor_our_margin_is_in_it(known: dict[str, set[Any]], ask: Ask, tenant_id: str) -> None:
    names = {value for value in known[tenant_id] if isinstance(value, str)}
    assert not {"cost_usd", "margin_usd", "multiplier", "margin_rule_id", "policy_sha256", "load_id"} & names
    figures = {value for value in known[tenant_id] if isinstance(value, Decimal)}
    totals = ask(
        """
        SELECT sum(cost_usd), sum(margin_usd), strftime(usage_date, '%Y-%m'), provider
        FROM billing.tenant_days WHERE tenant_id = $1 AND cost_usd <> 0 GROUP BY ALL
        """,
        tenant_id,
    )
    rules = {rule for (rule,) in ask("SELECT DISTINCT margin_rule_id FROM billing.rates")}
    assert totals
    assert not {amount for cost, margin, *_ in totals for amount in (cost, margin)} & figures
    assert not rules & names


def test_names_that_mean_harm_are_data_and_the_sql_holds_none_of_them(exports: Path) -> None:
    folder = exports / "tenant-o-brien-drop-table-charges"
    with duckdb.connect() as connection:
        path = str(folder / "lines.parquet")
        names = connection.execute("SELECT DISTINCT account_name FROM read_parquet($1)", [path]).fetchall()
    assert ("O'Brien; DROP TABLE charges;--",) in names
    assert "Brien" not in (folder / "check.sql").read_text()


@pytest.mark.parametrize("tenant_id", ["unallocated", "nobody", "../../etc"])
def test_nobody_else_can_be_exported(published: Path, tmp_path: Path, tenant_id: str) -> None:
    with pytest.raises(WrongUse):
        export_tenant(published, tenant_id, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_what_it_wrote_and_where(run: Run, tmp_path: Path) -> None:
    ended = run("export", "tenant", "contoso-retail", "--to", str(tmp_path / "out"))
    assert (ended.returncode, ended.stderr) == (0, "")
    folder = tmp_path / "out" / "tenant-contoso-retail"
    assert {path.name for path in folder.iterdir()} == FILES
    assert all(str(folder / name) in ended.stdout for name in FILES)
    wrong = run("export", "tenant", "nobody")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "There is no tenant 'nobody'" in wrong.stderr


def folders_in(exports: Path) -> set[str]:
    return {path.name for path in exports.iterdir()}


def test_a_second_export_takes_the_place_of_the_first_at_once(copy: Path, tmp_path: Path) -> None:
    """Who opened the folder before has all of the first, and no file of the second."""
    out = tmp_path / "out"
    export_tenant(copy, "contoso-retail", out)
    own = out / "tenant-contoso-retail"
    first = {path.name: path.read_bytes() for path in own.iterdir()}
    held = [path.open("rb") for path in sorted(own.iterdir())]
    inode = own.stat().st_ino
    with duckdb.connect(copy) as connection:
        connection.execute("UPDATE billing.invoices SET total_minor = total_minor + 1")
        connection.execute("DELETE FROM billing.charges")
    export_tenant(copy, "contoso-retail", out)
    assert [file.read() for file in held] == [first[name] for name in sorted(first)]
    for file in held:
        file.close()
    assert own.stat().st_ino != inode
    assert {path.name: path.read_bytes() != first[path.name] for path in own.iterdir()} == {
        **dict.fromkeys(FILES, False),
        "days.parquet": True,
        "documents.parquet": True,
    }
    assert folders_in(out) == {own.name}


def test_an_export_that_fails_leaves_the_first_as_it_was(copy: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export_tenant(copy, "contoso-retail", out)
    own = out / "tenant-contoso-retail"
    before = {path.name: path.read_bytes() for path in own.iterdir()}
    with duckdb.connect(copy) as connection:
        connection.execute("DELETE FROM billing.invoices")
        connection.execute("DROP TABLE billing.charges")  # the last of the files cannot be written
    with pytest.raises(WarehouseError):
        export_tenant(copy, "contoso-retail", out)
    assert {path.name: path.read_bytes() for path in own.iterdir()} == before
    assert folders_in(out) == {own.name}


def test_what_a_killed_export_left_goes_and_what_another_is_writing_stays(published: Path, tmp_path: Path) -> None:
    own = tmp_path / "tenant-contoso-retail"
    left, being_written = (tmp_path / f".{own.name}.{name}.part" for name in ("abandoned", "written"))
    of_a_month, of_another = (tmp_path / f".focus-cost-{month}.parquet.1.part" for month in ("2026-05", "2026-06"))
    for folder in (left, being_written):
        folder.mkdir()
        (folder / "lines.parquet").write_bytes(b"half")
    for file in (of_a_month, of_another):
        file.write_bytes(b"half")
    for path in (left, of_a_month, of_another):
        os.utime(path, (READ_AT.timestamp(), READ_AT.timestamp()))  # long ago
    export_tenant(published, "contoso-retail", tmp_path)
    export_focus(published, str(CLOSED), "cost", None, tmp_path)
    assert folders_in(tmp_path) == {own.name, being_written.name, of_another.name, "focus-cost-2026-05.parquet"}


def test_a_folder_with_somebody_elses_files_is_not_replaced(published: Path, tmp_path: Path) -> None:
    own = tmp_path / "tenant-contoso-retail"
    own.mkdir()
    (own / ".DS_Store").touch()
    export_tenant(published, "contoso-retail", tmp_path)
    (own / "notes \x1b[2J.txt").write_text("mine")
    with pytest.raises(WrongUse, match=r"notes \\u001b\[2J\.txt"):
        export_tenant(published, "contoso-retail", tmp_path)
    assert (own / "notes \x1b[2J.txt").read_text() == "mine"
