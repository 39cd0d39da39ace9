"""Two writers at once, as two real commands: the second says whom it waits for, and a crash leaves nothing to clean."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from tokenboard_etl.warehouse.connection import open_warehouse

SCRIPT = Path(sys.executable).parent / "tokenboard"

WRITER = """
import sys
from pathlib import Path
from tokenboard_etl.warehouse.connection import open_warehouse, transaction

with open_warehouse(Path(sys.argv[1])) as warehouse, transaction(warehouse):
    warehouse.execute("INSERT INTO ops.dirty_months VALUES ('2026-01')")
    print("writing", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with an empty warehouse."""
    with open_warehouse(tmp_path / "home" / "warehouse.duckdb"):
        pass
    return tmp_path / "home"


@pytest.fixture
def writer(home: Path) -> Iterator[subprocess.Popen[str]]:
    """A process in the middle of a transaction; it commits when its stdin ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(home / "warehouse.duckdb")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    yield process
    process.kill()
    process.communicate()


@pytest.fixture
def second(home: Path, writer: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """`tokenboard tenants list`, which has said that it waits."""
    env = {"PATH": os.environ["PATH"], "HOME": str(home.parent), "TOKENBOARD_HOME": str(home), "PYTHONUNBUFFERED": "1"}
    env["PYTHONPATH"] = os.environ.get("PYTHONPATH", "")
    process = subprocess.Popen(
        [SCRIPT, "tenants", "list"], env=env, cwd=home.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert (
        process.stderr.readline() == f"warning: waiting for process {writer.pid}, which is writing warehouse.duckdb\n"
    )
    yield process
    process.kill()
    process.communicate()


def test_the_second_command_goes_on_when_the_first_is_done(
    home: Path, writer: subprocess.Popen[str], second: subprocess.Popen[str]
) -> None:
    writer.communicate("")
    out, err = second.communicate(timeout=60)
    assert (second.returncode, err) == (0, "")
    assert "No tenants yet" in out
    with duckdb.connect(home / "warehouse.duckdb", read_only=True) as warehouse:
        assert warehouse.execute("FROM ops.dirty_months").fetchall() == [("2026-01",)]


def test_the_second_command_goes_on_when_the_first_was_killed_and_finds_nothing_half(
    home: Path, writer: subprocess.Popen[str], second: subprocess.Popen[str]
) -> None:
    writer.send_signal(signal.SIGKILL)
    _, err = second.communicate(timeout=60)
    assert (second.returncode, err) == (0, "")
    with duckdb.connect(home / "warehouse.duckdb", read_only=True) as warehouse:
        assert warehouse.execute("FROM ops.dirty_months").fetchall() == []
