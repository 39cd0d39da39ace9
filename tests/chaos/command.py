"""The command under test, a real process in a home of its own, and what can be seen of it from outside."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from tests.commands import tokenboard
from tokenboard_etl.periods import Window
from tokenboard_etl.providers.sandbox.server import RunningSandbox

ROOT = Path(__file__).parents[2]
SCRIPT = Path(sys.executable).parent / "tokenboard"
_HANGS_AFTER_S = 600
NOW = datetime(2026, 5, 2, 2, tzinfo=UTC)
SIXTY_DAYS = Window.of_days(date(2026, 3, 3), date(2026, 5, 1))
"""Holds 8 March, the day St. John's puts its clocks forward."""

START, DONE = "start", "done"
"""Before the first step of a run, and after the run was recorded as successful."""


@dataclass(frozen=True)
class Ended:
    """A process that has ended, and its last words."""

    status: int
    out: str
    err: str


@dataclass(frozen=True)
class Home:
    """A folder with all state, and the environment the command meets there."""

    path: Path
    env: Mapping[str, str]

    @property
    def tables(self) -> tuple[Path, Path]:
        """The published file and the warehouse."""
        return self.published, self.path / "warehouse.duckdb"

    @property
    def published(self) -> Path:
        return self.path / "published" / "tokenboard.duckdb"

    def start(self, window: Window = SIXTY_DAYS, **more: str) -> subprocess.Popen[str]:
        """`tokenboard nightly` over a window."""
        return self.command("nightly", "--from", str(window.start), "--to", str(window.last), **more)

    def command(self, *words: str, **more: str) -> subprocess.Popen[str]:
        """`tokenboard` and some words, in a process group of its own; it imports the tree this file is in."""
        self.path.mkdir(parents=True, exist_ok=True)
        return subprocess.Popen(
            [str(SCRIPT), *words],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.path.parent),
                "PYTHONPATH": str(ROOT),
                **self.env,
                **more,
            },
            cwd=self.path.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def nightly(self, window: Window = SIXTY_DAYS, **more: str) -> Ended:
        """Runs the command to its end."""
        return ended(self.start(window, **more))

    def run(self, *arguments: str, first: Callable[[], None] | None = None, **more: str) -> Ended:
        """Any command to its end, in a fork that calls `first` before; status -9 if it was killed."""
        env = {"PATH": os.environ["PATH"], "HOME": str(self.path.parent), **self.env, **more}
        end = tokenboard(*arguments, env=env, cwd=self.path.parent, timeout_s=_HANGS_AFTER_S, first=first)
        return Ended(end.returncode, end.stdout, end.stderr)

    def landed(self) -> Iterator[dict[str, Any]]:
        """Every page that is whole on disk, of finished and of interrupted loads, as the landing describes it."""
        for folder in sorted(self.path.glob("landing/*/*/*/")):
            manifest, journal = folder / "manifest.json", folder / "pages.jsonl"
            if manifest.exists():
                pages = json.loads(manifest.read_bytes())["pages"]
            elif journal.exists():
                written = journal.read_bytes()
                pages = [json.loads(line) for line in written[: written.rfind(b"\n") + 1].splitlines()[1:]]
            else:
                pages = []
            provider = folder.parents[1].name
            yield from ({**page, "provider": provider} for page in pages)

    def count(self, files: str) -> int:
        """How many there are of some files."""
        return sum(1 for _ in self.path.glob(files))

    def runs(self) -> set[Path]:
        """What Dagster recorded of each run."""
        return {path for path in self.path.glob("dagster/history/runs/*.db") if path.stem != "index"}


def home(path: Path, sandbox: RunningSandbox, now: datetime = NOW, **more: str) -> Home:
    """A fresh home whose clock stands still and whose providers are the sandbox."""
    return Home(path, {**sandbox.env(), "TOKENBOARD_HOME": str(path), "TOKENBOARD_NOW": now.isoformat(), **more})


def ended(process: subprocess.Popen[str]) -> Ended:
    """Waits for a process; one that hangs is ended."""
    try:
        out, err = process.communicate(timeout=_HANGS_AFTER_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return Ended(process.returncode, out, err)


def kill(process: subprocess.Popen[str]) -> Ended:
    """SIGKILL for the process and whatever it started."""
    os.killpg(process.pid, signal.SIGKILL)
    return ended(process)


def steps_of(run: Path) -> dict[str, datetime]:
    """When each step of a run began, in order, from Dagster's own records; START for the run, DONE for its success."""
    query = """
        SELECT dagster_event_type, step_key, timestamp FROM event_logs
        WHERE dagster_event_type IN ('PIPELINE_START', 'STEP_START', 'PIPELINE_SUCCESS') ORDER BY timestamp
        """
    try:
        with closing(sqlite3.connect(run)) as records:
            rows = records.execute(query).fetchall()
    except sqlite3.OperationalError:  # its table is not made yet
        return {}
    names = {"PIPELINE_START": START, "PIPELINE_SUCCESS": DONE}
    return {names.get(event) or step: datetime.fromisoformat(at).replace(tzinfo=UTC) for event, step, at in rows}
