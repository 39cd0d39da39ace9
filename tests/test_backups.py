"""Backups of a real home: what comes back after it was destroyed, and what a process killed in the middle leaves."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from pydantic import SecretStr

from assets.run import run_month_close, run_nightly
from chaos.tables import tables_of
from tokenboard_etl.backups import backup, newest_backup, restore
from tokenboard_etl.errors import BackupDamaged, WarehouseBusy, WarehouseError, WrongUse
from tokenboard_etl.periods import Month, Window
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.settings import load_settings
from tokenboard_etl.tenants.csv_import import import_tenants
from tokenboard_etl.tenants.key_ring import KeyRing
from tokenboard_etl.tenants.vault import change_vault, read_vault
from tokenboard_etl.warehouse.connection import open_warehouse

NOW = datetime(2026, 6, 15, 2, tzinfo=UTC)
MAY = Month(2026, 5)
RING = KeyRing([bytes(32)])
SCRIPT = Path(sys.executable).parent / "tokenboard"
PADDING = 1500
"""Landings of one small file, so that a copy takes long enough to be killed in the middle."""

Files = dict[str, tuple[str, int, int]]


def never(_seconds: float) -> None:
    raise AssertionError("there was nothing to wait for")


def files(home: Path) -> Files:
    """Everything that must come back: checksum, mode and time of change of each file by its path."""
    found = {}
    for path in sorted(home.rglob("*")):
        name = path.relative_to(home).as_posix()
        if path.is_file() and not name.startswith(("logs/", "dagster/")) and path.suffix != ".lock":
            state = path.stat()
            found[name] = (hashlib.sha256(path.read_bytes()).hexdigest(), state.st_mode & 0o777, state.st_mtime_ns)
    return found


@pytest.fixture(scope="module")
def lived_in(_shared_sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with landings, tables, issued invoices, documents, both published files' folder, a vault and an inbox."""
    folder = tmp_path_factory.mktemp("lived-in")
    home, csv = folder / "home", folder / "tenants.csv"
    csv.write_text(_shared_sandbox.world.tenants_csv())
    settings = load_settings(
        **{**_shared_sandbox.env(), "OPENROUTER_MANAGEMENT_KEY": None},
        TOKENBOARD_HOME=str(home),
        TOKENBOARD_NOW=NOW.isoformat(),
    )
    with open_warehouse(settings.warehouse_path) as warehouse:
        import_tenants(warehouse, csv, NOW)
    with dg.DagsterInstance.ephemeral() as instance:
        run_nightly(settings, Window.of_days(date(2026, 5, 1), date(2026, 5, 2)), instance)
        run_month_close(settings, MAY, instance, accepted_reason="two days are enough for a test")
    with change_vault(settings.vault_path, RING) as vault:
        vault.store("key", None, "connection", SecretStr("sk-admin-PLANTED0123456789"), NOW)
    (home / "inbox" / "registrations").mkdir(parents=True)
    (home / "inbox" / "registrations" / "grün.json").write_text("{}")
    (home / "logs").mkdir(exist_ok=True)
    (home / "logs" / "tokenboard.log").write_text("not needed again\n")
    return home


@pytest.fixture
def home(lived_in: Path, tmp_path: Path) -> Path:
    """A copy of that home."""
    shutil.copytree(lived_in, tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    return tmp_path / "backups"


def take(home: Path, dest: Path, nights: int = 0, **more: Any) -> Any:
    return backup(home, dest, NOW + timedelta(days=nights), sleep=never, **more)


def put_back(dest: Path, home: Path, **more: Any) -> Any:
    return restore(dest, home, sleep=never, **more)


def test_a_home_that_was_destroyed_comes_back_to_the_last_byte(home: Path, dest: Path) -> None:
    before = files(home)
    tables = {name: tables_of(home / name) for name in ("warehouse.duckdb", "published/tokenboard.duckdb")}
    assert len(tables["warehouse.duckdb"]["billing.invoices"]) > 0
    take(home, dest)
    shutil.rmtree(home)
    put_back(dest, home)
    assert files(home) == before
    assert {name: tables_of(home / name) for name in tables} == tables
    assert any(name.startswith("reports/2026-05/") for name in before)
    assert before["vault.duckdb"][1] == 0o600
    with read_vault(home / "vault.duckdb", RING) as vault:
        assert vault.read("key", None, "connection").get_secret_value() == "sk-admin-PLANTED0123456789"
    with open_warehouse(home / "warehouse.duckdb", wait_seconds=0, sleep=never):
        pass


def test_no_secret_and_nothing_for_others_to_read_is_in_a_backup(home: Path, dest: Path) -> None:
    take(home, dest)
    assert dest.stat().st_mode & 0o777 == 0o700
    for path in dest.rglob("*"):
        if path.is_file():
            assert b"PLANTED" not in path.read_bytes()
            assert path.name == ".lock" or path.stat().st_mode & 0o077 == 0, path


def test_landings_are_copied_once(home: Path, dest: Path) -> None:
    first = take(home, dest)
    assert (first.copied_files, first.copied_bytes) == (first.files, first.bytes)
    page = next(home.glob("landing/*/*/*/page-*.zst"))
    kept = {path: path.stat().st_mtime_ns for path in (dest / "files").glob("*/*")}
    (home / "inbox" / "registrations" / "new.json").write_text("[]")
    page.parent.with_name("20990101T000000Z-000new").mkdir()
    shutil.copytree(page.parent, page.parent.with_name("20990101T000000Z-000new"), dirs_exist_ok=True)
    second = take(home, dest, nights=1)
    assert second.copied_files == 1 + sum(1 for _ in page.parent.iterdir())
    assert second.copied_bytes < first.bytes / 2
    added = set((dest / "files").glob("*/*")) - set(kept)
    assert [path.read_text() for path in added] == ["[]"]  # the new landing's bytes were there already
    assert all(path.stat().st_mtime_ns == at for path, at in kept.items())


def test_work_under_way_is_left_out(home: Path, dest: Path) -> None:
    under_way = home / "landing" / "openai" / "costs" / "20990101T000000Z-000abc"
    under_way.mkdir()
    (under_way / "pages.jsonl").write_text("{}\n")
    (home / "published" / ".tokenboard.duckdb.1.part").write_text("half")
    (home / "logs" / "tokenboard.log").write_text("no record")
    names = {entry.path for entry in newest_backup(dest).entries} if take(home, dest) else set()
    assert not [name for name in names if "000abc" in name or ".part" in name or "log" in name.split("/")[0]]
    assert names == files(home).keys() - {"landing/openai/costs/20990101T000000Z-000abc/pages.jsonl"} - {
        "published/.tokenboard.duckdb.1.part"
    }


def test_a_journal_of_a_writer_that_crashed_is_part_of_it(home: Path, dest: Path) -> None:
    """The warehouse is copied as it lies there, so that a backup can be made before a newer version migrates it."""
    code = (
        "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]);"
        "c.execute(\"INSERT INTO ops.dirty_months VALUES ('2026-01')\"); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(home / "warehouse.duckdb")], check=False)
    assert (home / "warehouse.duckdb.wal").exists()
    before = files(home)
    take(home, dest)
    assert files(home) == before
    shutil.rmtree(home)
    put_back(dest, home)
    with duckdb.connect(home / "warehouse.duckdb") as connection:
        assert connection.execute("FROM ops.dirty_months WHERE month = '2026-01'").fetchall() == [("2026-01",)]


def test_a_backup_waits_for_a_writer_and_then_says_who_it_is(home: Path, dest: Path) -> None:
    waits: list[float] = []
    with (
        open_warehouse(home / "warehouse.duckdb"),
        pytest.raises(WarehouseBusy, match=f"Process {os.getpid()} has been writing warehouse.duckdb"),
    ):
        backup(home, dest, NOW, wait_seconds=0.01, sleep=waits.append)
    assert waits
    assert newest_backup(dest) is None


@pytest.mark.parametrize(
    ("place", "words"), [("home/backups", "inside one another"), (".", "inside one another"), ("home", "inside")]
)
def test_a_backup_inside_of_its_home_is_refused(home: Path, place: str, words: str) -> None:
    with pytest.raises(WrongUse, match=words):
        take(home, home.parent / place)


def test_without_a_warehouse_there_is_nothing_to_back_up(tmp_path: Path, dest: Path) -> None:
    with pytest.raises(WrongUse, match="no warehouse"):
        take(tmp_path / "home", dest)


# --- restoring


def test_a_home_that_holds_something_is_left_alone_unless_told(home: Path, dest: Path) -> None:
    before = files(home)
    take(home, dest)
    (home / "inbox" / "later.json").write_text("written after the backup")
    (home / "warehouse.duckdb").write_bytes(b"damaged")
    with pytest.raises(WrongUse, match="not empty"):
        put_back(dest, home)
    assert (home / "inbox" / "later.json").exists()
    put_back(dest, home, replace=True)
    assert files(home) == before


def damage_altered(kept: Path) -> None:
    content = bytearray(kept.read_bytes())
    content[len(content) // 2] ^= 1
    kept.write_bytes(content)


def damage_cut_short(kept: Path) -> None:
    kept.write_bytes(kept.read_bytes()[:-1])


@pytest.mark.parametrize("damage", [damage_altered, damage_cut_short, Path.unlink], ids=["altered", "cut", "gone"])
def test_a_damaged_backup_is_refused_before_anything_changes(
    home: Path, dest: Path, damage: Callable[[Path], None]
) -> None:
    take(home, dest)
    before = files(home)
    entry = next(entry for entry in newest_backup(dest).entries if entry.path == "warehouse.duckdb")
    damage(dest / "files" / entry.sha256[:2] / entry.sha256)
    with pytest.raises(BackupDamaged, match=r"lacks 1 file.*warehouse\.duckdb"):
        put_back(dest, home, replace=True)
    assert files(home) == before
    assert not list(home.glob(".res*"))


def test_a_list_that_was_altered_is_refused(home: Path, dest: Path) -> None:
    take(home, dest)
    (path,) = dest.glob("*.json")
    path.write_text(path.read_text().replace("vault.duckdb", "../../vault"))
    with pytest.raises(BackupDamaged, match="checksum differs"):
        put_back(dest, home, replace=True)


def test_a_list_that_leads_out_of_the_home_is_refused(home: Path, dest: Path) -> None:
    """Whoever may write there can also make the checksum fit."""
    take(home, dest)
    (path,) = dest.glob("*.json")
    forged = path.read_text().replace('"vault.duckdb"', '"../../vault"')
    path.unlink()
    digest = hashlib.sha256(forged.encode()).hexdigest()[:16]
    (dest / f"20270101T000000Z-{digest}.json").write_text(forged)
    with pytest.raises(BackupDamaged, match="outside"):
        put_back(dest, home, replace=True)


def test_earlier_backups_are_kept_and_chosen_by_name_until_they_are_forgotten(home: Path, dest: Path) -> None:
    first, before = take(home, dest), files(home)
    for night in (1, 2):
        (home / "inbox" / f"{night}.json").write_text(str(night))
        take(home, dest, nights=night)
    put_back(dest, home, name=first.name, replace=True)
    assert files(home) == before
    (home / "inbox" / "3.json").write_text("3")
    now, last = files(home), take(home, dest, nights=3, keep_last=1)
    assert [path.stem for path in dest.glob("*.json")] == [last.name]
    assert {path.read_text() for path in (dest / "files").glob("*/*") if path.stat().st_size == 1} == {"3"}
    with pytest.raises(WrongUse, match=f"There is no backup {first.name}"):
        put_back(dest, home, name=first.name, replace=True)
    put_back(dest, home, replace=True)
    assert files(home) == now


# --- killed in the middle


def command(*arguments: str | Path, home: Path) -> subprocess.Popen[bytes]:
    env = {"PATH": os.environ["PATH"], "HOME": str(home.parent), "TOKENBOARD_HOME": str(home)}
    env["PYTHONPATH"] = os.environ.get("PYTHONPATH", "")
    return subprocess.Popen(
        [SCRIPT, *map(str, arguments)], env=env, cwd=home.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def killed_after(process: subprocess.Popen[bytes], count: Callable[[], int], enough: int) -> bool:
    """Kills a process once so many files are there; False if it ended before."""
    while process.poll() is None:
        if count() >= enough:
            process.kill()
            break
        time.sleep(0.001)  # a real process: there is nothing else to wait for
    process.communicate()
    return process.returncode == -9


def pad(home: Path) -> None:
    for number in range(PADDING):
        folder = home / "landing" / "padding" / "costs" / f"{number:04d}"
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(f'{{"number": {number}}}')


@pytest.mark.slow
def test_a_backup_killed_in_the_middle_leaves_the_last_good_one(home: Path, dest: Path) -> None:
    before = files(home)
    first = take(home, dest)
    pad(home)
    padded = files(home)
    for enough in (first.files + 10, first.files + 300):
        assert killed_after(command("backup", dest, home=home), lambda: len(list(dest.glob("files/*/*"))), enough)
        assert [path.stem for path in dest.glob("*.json")] == [first.name]
    put_back(dest, home, replace=True)
    assert files(home) == before
    pad(home)
    done = command("backup", dest, home=home)
    assert done.communicate()[1] == b""
    shutil.rmtree(home)
    put_back(dest, home)
    assert {name: content[:2] for name, content in files(home).items()} == {
        name: content[:2] for name, content in padded.items()
    }


@pytest.mark.slow
def test_a_restore_killed_in_the_middle_is_never_used_and_runs_again(home: Path, dest: Path) -> None:
    pad(home)
    before = files(home)
    take(home, dest)
    shutil.rmtree(home)

    def staged() -> int:
        return len(list(home.glob(".restored-*/landing/padding/costs/*")))

    assert killed_after(command("restore", dest, home=home), staged, PADDING // 3)
    assert files(home).keys() == {name for name in files(home) if name.startswith(".restored-")}
    put_back(dest, home)
    assert files(home) == before

    # Now in the moment in which the old files are gone and the new ones are not all there.
    (home / "inbox" / "later.json").write_text("lost, as --replace says")
    begun = home / ".restoring"
    for _ in range(5):
        killed_after(command("restore", dest, "--replace", home=home), lambda: int(begun.exists()), 1)
        if begun.exists():
            break
    with pytest.raises(WarehouseError, match="half restored"), open_warehouse(home / "warehouse.duckdb"):
        pass
    with pytest.raises(WarehouseError, match="half restored"):
        take(home, dest, nights=1)
    put_back(dest, home)
    assert files(home) == before
    assert not list(home.glob(".res*"))
