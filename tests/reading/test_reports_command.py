"""`tokenboard reports` as people run it, and what then lies in the folder."""

from __future__ import annotations

import os
import shutil
from ctypes.util import find_library
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import unquote

import duckdb
import pytest
from pypdf import PdfReader

from reading.conftest import CLOSED, CLOSED_AT, READ_AT, RUNNING, Run
from reading.tables import said_by
from tokenboard_etl.files import written_together
from tokenboard_etl.periods import Month
from tokenboard_etl.reports import months_due
from tokenboard_etl.settings import load_settings

pytestmark = pytest.mark.slow

NOW = {
    "TOKENBOARD_NOW": READ_AT.isoformat(),
    "OPENAI_BASE_URL": "http://127.0.0.1:1/v1",
    "OPENROUTER_BASE_URL": "http://127.0.0.1:1/v1",
}
MINE = "contoso-retail"


@pytest.fixture
def home(copy: Path, world_home: Path) -> Path:
    """A home with a published file and the issued documents, and no other report."""
    home = copy.parents[1]
    shutil.copytree(world_home / "reports", home / "reports")
    for path in files(home):
        if not path.name.startswith("INV-"):
            path.unlink()
    return home


def files(home: Path) -> dict[Path, tuple[bytes, int]]:
    found = (path for path in (home / "reports").rglob("*") if path.is_file())
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in found}


def test_everything_is_led_to_and_a_second_time_changes_nothing(run: Run, home: Path) -> None:
    issued = files(home)
    ended = run("reports", home=home, **NOW)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert f"Reports   {home / 'reports' / 'index.html'}" in ended.stdout
    written = files(home)
    assert written.items() > issued.items()

    reached, waiting = set[Path](), [home / "reports" / "index.html"]
    while waiting:
        path = waiting.pop()
        reached.add(path)
        links = said_by(path).links if path.suffix == ".html" else []
        targets = {Path(os.path.normpath(path.parent / unquote(link))) for link in links}
        waiting += [target for target in targets - reached if "mailto" not in str(target)]
    assert reached == set(written)

    again = run("reports", home=home, **NOW)
    assert again.returncode == 0
    assert files(home) == written
    assert {line.rpartition(", ")[2] for line in again.stdout.splitlines()[:-1]} == {"0 changed"}


def test_one_month_and_the_statement_of_who_is_gone(run: Run, home: Path) -> None:
    gone = home / "reports" / str(RUNNING) / "left-long-ago" / "statement.html"
    kept = home / "reports" / str(CLOSED) / "left-long-ago" / "statement.html"
    for path in (gone, gone.with_suffix(".pdf"), kept):
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text("old")
    old_pdf = home / "reports" / str(RUNNING) / MINE / "statement.pdf"
    old_pdf.parent.mkdir(exist_ok=True)
    old_pdf.write_text("of a page that says something else now")
    assert run("reports", "--month", str(RUNNING), home=home, **NOW).returncode == 0
    assert not gone.parent.exists()
    assert not old_pdf.exists()
    assert old_pdf.with_suffix(".html").exists()
    assert kept.read_text() == "old"
    assert not (home / "reports" / str(CLOSED) / "register.html").exists()
    assert (home / "reports" / "overview.html").exists()


def test_a_night_writes_what_it_read_what_is_new_and_what_is_not_there(home: Path) -> None:
    def due(now: datetime, *read: Month) -> list[Month]:
        then = {**NOW, "TOKENBOARD_NOW": now.isoformat(), "TOKENBOARD_HOME": str(home)}
        return months_due(load_settings(**then), read)

    assert due(READ_AT) == [RUNNING, CLOSED]
    (home / "reports" / str(CLOSED) / "register.html").touch()
    assert due(READ_AT) == [RUNNING]
    assert due(READ_AT, CLOSED) == [RUNNING, CLOSED]
    assert due(CLOSED_AT + timedelta(days=6)) == [RUNNING, CLOSED]  # its documents are young
    assert due(READ_AT, Month(2025, 1)) == [RUNNING]


def test_a_month_that_young_documents_of_another_one_correct_is_written_too(home: Path) -> None:
    """Its register said what was to be corrected."""
    then = {**NOW, "TOKENBOARD_NOW": (CLOSED_AT + timedelta(days=6)).isoformat(), "TOKENBOARD_HOME": str(home)}
    (home / "reports" / str(CLOSED)).mkdir(parents=True, exist_ok=True)
    (home / "reports" / str(CLOSED) / "register.html").touch()
    with duckdb.connect(home / "published" / "tokenboard.duckdb") as connection:
        connection.execute("UPDATE billing.invoices SET month = $1", [str(RUNNING)])
    assert months_due(load_settings(**then), []) == [RUNNING, CLOSED]
    with duckdb.connect(home / "published" / "tokenboard.duckdb") as connection:
        connection.execute("UPDATE billing.invoice_lines SET service_month = $1", [str(RUNNING)])
    assert months_due(load_settings(**then), []) == [RUNNING]


def test_one_tenant_alone(run: Run, home: Path) -> None:
    before = set(files(home))
    ended = run("reports", "--tenant", MINE, home=home, **NOW)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert {path.relative_to(home / "reports") for path in set(files(home)) - before} == {
        Path(str(month), MINE, "statement.html") for month in (CLOSED, RUNNING)
    }


@pytest.mark.skipif(find_library("pango-1.0") is None, reason="Pango is not installed: see the README's weasyprint")
def test_paper_is_made_on_request_and_what_is_there_stays(run: Run, home: Path) -> None:
    ended = run("reports", "--tenant", MINE, "--month", str(CLOSED), "--pdf", home=home, **NOW)
    assert (ended.returncode, ended.stderr) == (0, "")
    folder = home / "reports" / str(CLOSED) / MINE
    made = {path.stem: path.stat().st_mtime_ns for path in folder.glob("*.pdf")}
    assert made.keys() == {path.stem for path in folder.glob("*.html")}
    assert len(made) > 1
    assert "Statement for Contoso Retail" in PdfReader(folder / "statement.pdf").pages[0].extract_text()
    (folder / "statement.html").write_text("as it was before")
    assert (
        "PDF: 1 file(s)" in run("reports", "--tenant", MINE, "--month", str(CLOSED), "--pdf", home=home, **NOW).stdout
    )
    again = {path.stem: path.stat().st_mtime_ns for path in folder.glob("*.pdf")}
    assert {name for name in made if made[name] != again[name]} == {"statement"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--month", "2026-13"), "'2026-13' is not a month"),
        (("--month", "2025-01"), "Nothing is known about 2025-01"),
        (("--tenant", "nobody"), "There is no tenant 'nobody'"),
        (("--tenant", MINE, "--month", "2025-01"), "Nothing is known about 2025-01"),
        (("--tenant", "unallocated"), "Unallocated spend belongs to no tenant"),
    ],
)
def test_what_cannot_be_meant_is_wrong_use_and_writes_nothing(
    run: Run, home: Path, arguments: tuple[str, ...], said: str
) -> None:
    before = files(home)
    ended = run("reports", *arguments, home=home, **NOW)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert files(home) == before


def test_nothing_published_is_wrong_use(run: Run, tmp_path: Path) -> None:
    ended = run("reports", home=tmp_path / "empty")
    assert ended.returncode == 2
    assert "Nothing is published" in ended.stderr


def test_a_published_file_without_a_figure_gives_an_index_that_says_so(run: Run, home: Path, copy: Path) -> None:
    copy.chmod(0o644)
    with duckdb.connect(copy) as connection:
        for table in ("tenant_days", "tenant_months", "reconciliation", "invoices"):
            connection.execute(f"DELETE FROM billing.{table}")
    assert run("reports", home=home, **NOW).returncode == 0
    said = said_by(home / "reports" / "index.html")
    assert "There are no figures yet." in said.text
    assert said.links == []


def test_files_are_put_in_place_together_or_not_at_all(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "folder" / "new"
    old.write_text("was")

    def write_and_fail() -> None:
        with written_together() as put:
            assert put(old, b"is")
            assert put(new, b"is")
            raise ValueError("in the middle")

    with pytest.raises(ValueError, match="in the middle"):
        write_and_fail()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [old]
    assert old.read_text() == "was"
    with written_together() as put:
        assert put(old, b"is")
        assert put(new, b"is")
        assert not new.exists()
    with written_together() as put:
        assert not put(new, b"is")
    assert (old.read_text(), new.read_text()) == ("is", "is")
