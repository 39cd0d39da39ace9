"""Publishing under readers, and the publications that are kept."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from assets.run import run_nightly
from tokenboard_etl.periods import ONE_DAY, Window, utc_day
from tokenboard_etl.providers.sandbox.server import running_sandbox
from tokenboard_etl.settings import load_settings
from tokenboard_etl.warehouse.connection import open_warehouse
from tokenboard_etl.warehouse.models import build_models
from tokenboard_etl.warehouse.publications import KEPT, publications_of
from tokenboard_etl.warehouse.publish import publish

NOW = datetime(2026, 6, 15, 2, 0, tzinfo=UTC)

Seen = tuple[int, int, int]

READERS, NIGHTS = 20, 50

# The readers step back for the writer: twenty of them on two cores would else make its publications take minutes.
READER = """
import os
import select
import sys
import duckdb

os.nice(19)
print("ready", flush=True)
while not select.select([sys.stdin], [], [], float(sys.argv[2]))[0]:
    with duckdb.connect(sys.argv[1], read_only=True) as published:
        published.execute("SET threads = 1")
        tenants = published.execute("SELECT count(*) FROM registry.tenants").fetchall()[0][0]
        named = published.execute("SELECT coalesce(sum(cost_usd), 0) FROM views.named_charges").fetchall()[0][0]
        days = published.execute("SELECT coalesce(sum(cost_usd), 0) FROM billing.tenant_days").fetchall()[0][0]
        bindings = published.execute("SELECT count(*) FROM registry.accounts").fetchall()[0][0]
    print(tenants, bindings, int(named != days), flush=True)
"""


def register(connection: duckdb.DuckDBPyConnection, number: int) -> None:
    """A tenant and a binding: whoever sees one sees the other."""
    connection.execute(
        """
        INSERT INTO registry.tenants (tenant_id, name, description, currency, status, created_at)
        VALUES ($1, $1, 'x', 'USD', 'active', $2)
        """,
        [f"t{number}", NOW],
    )
    connection.execute(
        "INSERT INTO registry.accounts VALUES ($1, 'openai', 'project', $1, '2026-01-01', NULL, $2)",
        [f"t{number}", NOW],
    )


@pytest.fixture
def published(tmp_path: Path) -> Path:
    return tmp_path / "published" / "tokenboard.duckdb"


@pytest.fixture
def warehouse(tmp_path: Path, published: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A working file that was published once, without a tenant."""
    with open_warehouse(tmp_path / "warehouse.duckdb") as connection:
        build_models(connection, NOW, settle_days=4)
        publish(connection, tmp_path / "warehouse.duckdb", published)
        yield connection


@contextmanager
def readers(path: Path, every_seconds: float) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that open the file and ask it again and again until the block ends."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", READER, str(path), str(every_seconds)]
    started = [subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) for _ in range(READERS)]
    try:
        for process in started:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        yield started
    finally:
        for process in started:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream:
                    stream.close()


@pytest.mark.slow
def test_readers_never_meet_an_error_or_a_mixed_result_while_it_is_replaced(
    warehouse: duckdb.DuckDBPyConnection, published: Path, tmp_path: Path
) -> None:
    def publish_with(number: int) -> None:
        register(warehouse, number)
        publish(warehouse, tmp_path / "warehouse.duckdb", published)

    publish_under_readers(published, publish_with, publications=5, every_seconds=0.1)


@pytest.mark.endurance
def test_readers_never_meet_an_error_or_a_mixed_result_in_fifty_nights(tmp_path: Path) -> None:
    """Each a whole night of one more day, by the job the command runs."""
    with running_sandbox(now=NOW, analytics_per_minute=None) as sandbox, dg.DagsterInstance.ephemeral() as instance:
        home = load_settings(**sandbox.env(), TOKENBOARD_HOME=str(tmp_path), TOKENBOARD_NOW=NOW.isoformat())

        def live_through(number: int) -> None:
            with open_warehouse(home.warehouse_path) as warehouse:
                register(warehouse, number)
            day = utc_day(NOW) - (NIGHTS + 1 - number) * ONE_DAY
            run_nightly(home, Window.of_days(day, day), instance)

        live_through(0)
        publish_under_readers(home.published_path, live_through, NIGHTS, every_seconds=0.5)
    with duckdb.connect(home.published_path, read_only=True) as connection:
        days = "SELECT count(DISTINCT usage_date) FROM billing.charges WHERE source = 'provider'"
        assert connection.execute(days).fetchall() == [(NIGHTS + 1,)]


def publish_under_readers(
    published: Path, publish_with: Callable[[int], None], publications: int, every_seconds: float
) -> None:
    """Publishes with one tenant more each time, from 1, under readers; nobody is mistaken, and all see it go on."""
    with readers(published, every_seconds) as processes:
        told: list[list[Seen]] = [[] for _ in processes]
        for number in range(1, publications + 1):
            publish_with(number)
            if number % 5 == 0:  # however slow the machine is: one after another sees a publication as new as this one
                asked = number // 5 % READERS
                told[asked] += list(until(number, processes[asked]))
        for process, said in zip(processes, told, strict=True):
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdin.close()
            said += map(seen, process.stdout)
            assert process.stderr.read() == ""
    for said in told:
        assert said
        assert all(tenants == bindings and mixed == 0 for tenants, bindings, mixed in said)
        assert said == sorted(said)
    assert len({tenants for said in told for tenants, _, _ in said}) >= publications // 5


def until(number: int, process: subprocess.Popen[str]) -> Iterator[Seen]:
    """What a reader tells, up to the first time it sees so many tenants."""
    assert process.stdout is not None
    for line in process.stdout:
        yield seen(line)
        if seen(line)[0] >= number:
            return


def seen(line: str) -> Seen:
    tenants, bindings, mixed = map(int, line.split())
    return tenants, bindings, mixed


@pytest.mark.usefixtures("warehouse")
def test_a_name_is_followed_to_one_file_before_it_is_opened(published: Path) -> None:
    """What the readers' peace rests on; a release of DuckDB that opens the link again and again would break it."""
    with duckdb.connect(published, read_only=True) as connection:
        opened = connection.execute("SELECT path FROM duckdb_databases() WHERE NOT internal").fetchall()
    assert published.is_symlink()
    assert opened == [(str(published.resolve()),)]


def test_the_last_publications_are_kept_as_they_were(
    warehouse: duckdb.DuckDBPyConnection, published: Path, tmp_path: Path
) -> None:
    before = [published.read_bytes()]
    for number in range(KEPT + 2):
        os.utime(published, (NOW.timestamp(), NOW.timestamp()))  # long ago
        register(warehouse, number)
        publish(warehouse, tmp_path / "warehouse.duckdb", published)
        before.append(published.read_bytes())
    kept = publications_of(published)
    assert [path.read_bytes() for path in kept] == before[-1 - KEPT :]
    assert published.resolve() == kept[-1].resolve()
    assert {path.name for path in published.parent.iterdir()} == {published.name, kept[0].parent.name}
    with duckdb.connect(kept[0], read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM registry.tenants").fetchall() == [(2,)]


def test_a_file_somebody_may_be_about_to_open_stays(
    warehouse: duckdb.DuckDBPyConnection, published: Path, tmp_path: Path
) -> None:
    """The link was followed, and the machine was busy with so many publications before the file was opened."""
    followed = published.resolve()
    for _ in range(KEPT + 2):
        publish(warehouse, tmp_path / "warehouse.duckdb", published)
    duckdb.connect(followed, read_only=True).close()


def test_what_a_killed_publication_left_is_removed_by_the_next_one(
    warehouse: duckdb.DuckDBPyConnection, published: Path, tmp_path: Path
) -> None:
    """Killed before the link was turned, and while the copy was written."""
    (first,) = publications_of(published)
    unseen = first.with_name(first.name.replace("-2", "-9"))
    part = published.with_name(f".{published.name}.1.part")
    for left in (unseen, part):
        left.write_bytes(b"half")
    publish(warehouse, tmp_path / "warehouse.duckdb", published)
    assert not unseen.exists()
    assert not part.exists()
    assert publications_of(published) == [first, published.parent / published.readlink()]


def test_a_publication_that_fails_is_not_kept_as_an_earlier_one(
    warehouse: duckdb.DuckDBPyConnection, published: Path, tmp_path: Path
) -> None:
    before = publications_of(published)
    warehouse.execute("DROP TABLE billing.charges")
    with pytest.raises(duckdb.Error):
        publish(warehouse, tmp_path / "warehouse.duckdb", published)
    assert publications_of(published) == before
    assert published.resolve() == before[-1].resolve()


TABLES = "SELECT schema_name, table_name FROM duckdb_tables()"
PLANTED = "the name of a person that nobody who reads the published file may find"


def everything(connection: duckdb.DuckDBPyConnection, table: str) -> list[tuple[object, ...]]:
    return connection.execute(f"FROM {table} ORDER BY ALL").fetchall()


def test_what_is_not_published_leaves_no_byte_in_the_published_file(
    warehouse: duckdb.DuckDBPyConnection, published: Path, tmp_path: Path
) -> None:
    """Neither of tables that are dropped there, nor of rows and tables that were removed from the working file."""
    rows = "FROM range(50000) AS many (i)"
    warehouse.execute(f"CREATE TABLE staging.gone AS SELECT '{PLANTED} 1 ' || md5(CAST(i AS VARCHAR)) AS name {rows}")
    warehouse.execute(f"CREATE TABLE raw.kept AS SELECT '{PLANTED} 2 ' || md5(CAST(i AS VARCHAR)) AS name {rows}")
    warehouse.execute(
        f"""
        INSERT INTO ops.operation_rejects BY NAME
        SELECT repeat('0', 64) AS sha256, 'a.csv' AS file, i AS row_number, $1 AS read_at,
            '{PLANTED} 3 ' || md5(CAST(i AS VARCHAR)) AS reason {rows}
        """,
        [NOW],
    )
    warehouse.execute("CHECKPOINT")
    warehouse.execute("DROP TABLE staging.gone")
    for number in range(100):
        register(warehouse, number)
    publish(warehouse, tmp_path / "warehouse.duckdb", published)
    working = (tmp_path / "warehouse.duckdb").read_bytes()
    assert all(f"{PLANTED} {number}".encode() in working for number in (1, 2, 3))
    assert PLANTED.encode() not in published.read_bytes()
    assert published.stat().st_blocks * 512 < len(working) // 2
    with duckdb.connect(published, read_only=True) as copy:
        tables = [f"{schema}.{table}" for schema, table in copy.execute(TABLES).fetchall()]
        assert {"registry.tenants", "billing.charges", "ops.loads"} <= set(tables)
        for table in tables:
            assert everything(copy, table) == everything(warehouse, table), table
