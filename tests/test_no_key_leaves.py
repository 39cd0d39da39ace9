"""Keys are nowhere but in the vault, encrypted: not after commands that succeed, not after commands that fail.

The sandbox's keys bear a mark. All that a home and its backup hold is searched for it, unpacked first.
"""

from __future__ import annotations

import base64
import os
import re
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import polars as pl
import pytest
import zstandard

from tests.commands import tokenboard
from tokenboard_etl.providers.sandbox.server import RunningSandbox, running_sandbox

NOW = datetime(2026, 6, 15, 2, tzinfo=UTC)
RING, NEXT_RING = (base64.b64encode(bytes([n]) * 32).decode() for n in (7, 8))
SECRET = re.compile(rb"sk-(?:svcacct|or-v1|admin)-SANDBOX-\w{6,}|%b|%b" % (RING[:40].encode(), NEXT_RING[:40].encode()))
"""Every key of the sandbox, and the keys of the vault."""

WRONG = "sk-admin-SANDBOX-thisIsNobodysKey0123456789"
DAYS = ("--from", "2026-05-31", "--to", "2026-05-31")

pytestmark = pytest.mark.slow


@dataclass
class Life:
    """Commands in one home, with what each of them said and how it ended."""

    folder: Path
    env: dict[str, str]
    said: list[tuple[str, bytes]] = field(default_factory=list)
    surprises: list[str] = field(default_factory=list)

    def run(self, *arguments: str, status: int = 0, stdin: str = "", shows: bool = False, **more: str) -> bytes:
        """A command, which is to end so. One that `shows` a key is meant to."""
        env = {"PATH": os.environ["PATH"], **self.env, **more}
        ended = tokenboard("--debug", *arguments, env=env, cwd=self.folder, stdin=stdin)
        if ended.returncode != status:
            self.surprises.append(f"{arguments} ended with {ended.returncode}: {ended.stderr}")
        self.said.append((" ".join(arguments), (ended.stderr + ("" if shows else ended.stdout)).encode()))
        return ended.stdout.encode()


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    folder = tmp_path_factory.mktemp("life")
    with running_sandbox(now=NOW, analytics_per_minute=None) as sandbox:
        state = {"TOKENBOARD_HOME": str(folder / "home"), "TOKENBOARD_NOW": NOW.isoformat()}
        life = Life(folder, {**sandbox.env(), **state, "TOKENBOARD_ENCRYPTION_KEY": RING})
        _live(life, sandbox)
    return life


def _live(life: Life, sandbox: RunningSandbox) -> None:
    run, second = life.run, sandbox.world.admin_keys[sandbox.world.organizations[1].id]
    run("provision", "Atlas <b>&</b> Co", "--limit", "200", "--email", "ap@atlas.example")
    for match in ("/service_accounts", "POST /openrouter/api/v1/keys"):
        sandbox.add_fault("malformed", match, variant="type")
    run("provision", "Boreas", status=1)
    sandbox.clear_faults()
    run("connect", "--provider", "openai", status=2, stdin=WRONG)
    run("connect", "--provider", "openai", stdin=second)
    run("nightly", *DAYS)
    project = next(each.id for each in sandbox.world.organizations[0].projects if each.tenant_id == "contoso-retail")
    run("tenants", "adopt", "atlas-b-b-co", "--provider", "openai", "--account", project)  # so there is an invoice
    sandbox.add_fault("malformed", "/organization/costs", variant="type")
    run("nightly", *DAYS, status=1, OPENROUTER_MANAGEMENT_KEY=WRONG)
    sandbox.clear_faults()
    run("provision", "--pending")
    reveal = ("key", "reveal", "atlas-b-b-co", "--provider", "openai", "--stdout")
    run(*reveal, shows=True)
    run("tenants", "rotate", "atlas-b-b-co")
    run(*reveal, status=2, TOKENBOARD_ENCRYPTION_KEY=NEXT_RING)
    run("vault", "rotate", TOKENBOARD_ENCRYPTION_KEY=f"{NEXT_RING},{RING}")
    life.env["TOKENBOARD_ENCRYPTION_KEY"] = NEXT_RING
    run("usage", "--key-from-stdin", stdin=next(key.value for key in sandbox.world.account.keys if key.limit_usd))
    run("close", "2026-05", "--accept-provisional", "the auditors are waiting")
    run("doctor", status=1, OPENROUTER_MANAGEMENT_KEY=WRONG)
    run("tenants", "show", "atlas-b-b-co", "--json")
    run("export", "focus", "--month", "2026-05")
    run("backup", str(life.folder / "backup"))


def contents(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Every file's bytes; what is packed, and every row of every database, which may be packed inside it, unpacked."""
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        content = path.read_bytes()
        yield path, content
        if content.startswith(zstandard.MAGIC_NUMBER.to_bytes(4, "little")):
            yield path, zstandard.decompress(content)
        elif content.startswith(b"PAR1"):
            yield path, repr(pl.read_parquet(path).rows()).encode()
        elif content[8:12] == b"DUCK":
            with closing(duckdb.connect(path, read_only=True)) as database:
                names = "SELECT schema_name || '.' || table_name FROM duckdb_tables()"
                for (table,) in database.execute(names).fetchall():
                    yield path, repr(database.execute(f"FROM {table}").fetchall()).encode()
        elif content.startswith(b"SQLite format 3"):
            for value in values(path):
                yield path, value


def values(path: Path) -> Iterator[bytes]:
    """Every value of an SQLite file, unpacked where it is packed."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as records:
        for (table,) in records.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for value in (value for row in records.execute(f'SELECT * FROM "{table}"') for value in row):
                yield str(value).encode()
                if isinstance(value, bytes):
                    with suppress(zlib.error):
                        yield zlib.decompress(value)


def leaks(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path, content in contents(folder) if SECRET.search(content)}


def test_no_key_is_in_anything_that_commands_leave_or_say(life: Life) -> None:
    assert life.surprises == []
    assert leaks(life.folder) == set()
    assert [(command, SECRET.findall(text)) for command, text in life.said if SECRET.search(text)] == []
    assert sum(b"Traceback" in text for _, text in life.said) == 4
    home = {path.relative_to(life.folder / "home").as_posix() for path in (life.folder / "home").rglob("*")}
    assert home >= {"vault.duckdb", "warehouse.duckdb", "published/tokenboard.duckdb", "logs/tokenboard.log"}
    for each in ("landing/*/costs/*/page-*.zst", "reports/**/*.html", "exports/**/*.parquet", "dagster/**/*.db"):
        assert any((life.folder / "home").glob(each)), each


def test_what_is_searched_for_would_be_found_wherever_it_was(life: Life, tmp_path: Path) -> None:
    key = life.run("key", "reveal", "boreas", "--provider", "openai", "--stdout", shows=True)
    (tmp_path / "plain.txt").write_bytes(b"the key is " + key)
    (tmp_path / "page.zst").write_bytes(zstandard.compress(key * 100))
    pl.DataFrame({"key": [key.decode()] * 100}).write_parquet(tmp_path / "rows.parquet")
    with closing(duckdb.connect(tmp_path / "table")) as database:
        database.execute("CREATE TABLE t AS SELECT $1 || i AS v FROM range(9) AS r (i)", [key.decode()])
    with closing(sqlite3.connect(tmp_path / "events.db")) as records:
        records.execute("CREATE TABLE event_logs (body)")
        records.execute("INSERT INTO event_logs VALUES (?)", [zlib.compress(key * 10)])
        records.commit()
    assert leaks(tmp_path) == {"plain.txt", "page.zst", "rows.parquet", "table", "events.db"}
