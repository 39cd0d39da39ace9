"""Where log records go: a file under TOKENBOARD_HOME/logs, stderr of a process without a face, a person's eye."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import IO, Literal

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn

from tokenboard_etl.files import storage_errors
from tokenboard_etl.progress import FIELD, DaysRead
from tokenboard_etl.redaction import redact

ROOT = "tokenboard"

DAYS_A_LINE = 10
"""A report's days are worth a line of plain text after so many."""


LogFormat = Literal["text", "json"]

FIELDS = (
    "provider", "connection", "report", "endpoint", "window", "load_id",
    "pages", "rows", "bytes", "seconds", "attempt", "status", "request_id",
)  # fmt: skip
"""What a record may carry besides its words, given as `extra`: JSON has each as a field of its own."""

_run: ContextVar[str | None] = ContextVar("run", default=None)


@contextmanager
def during_run(run_id: str) -> Iterator[None]:
    """Every record of the block names the run."""
    token = _run.set(run_id)
    try:
        yield
    finally:
        _run.reset(token)


class _Redacting(logging.Formatter):
    """The one door every record passes: nothing that looks like a key gets through."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


class _Json(logging.Formatter):
    """One JSON object a line, through the same door: text is redacted before it is quoted."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "run": _run.get(),
            **{name: getattr(record, name, None) for name in FIELDS},
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        said = {name: value for name, value in line.items() if value is not None}
        return json.dumps(
            {name: redact(value) if isinstance(value, str) else value for name, value in said.items()},
            ensure_ascii=False,
            default=lambda value: redact(str(value)),
        )


def _formatter(chosen: LogFormat | None, stream: IO[str] | None = None) -> logging.Formatter:
    """JSON, unless a person reads along or text was asked for."""
    if chosen == "text" or (chosen is None and stream is not None and stream.isatty()):
        return _Redacting("%(asctime)s %(levelname)s %(name)s %(message)s")
    return _Json()


@contextmanager
def log_to(folder: Path, chosen: LogFormat | None = None) -> Iterator[None]:
    """Writes records of this system to `folder`/tokenboard.log while the block runs, as JSON unless text is chosen."""
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        handler = RotatingFileHandler(
            folder / "tokenboard.log", maxBytes=10_000_000, backupCount=5, encoding="utf-8", errors="replace"
        )
    handler.setFormatter(_formatter(chosen))
    with _attached(handler):
        yield


@contextmanager
def log_to_stderr(chosen: LogFormat | None = None) -> Iterator[None]:
    """Writes records to stderr, for processes without a face: where containers and systemd collect them."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(chosen, sys.stderr))
    with _attached(handler):
        yield


@contextmanager
def show_warnings(console: Console) -> Iterator[None]:
    """Shows warnings only: for commands that are over at once, unless they have to wait."""
    with _attached(_Lines(console, _Redacting("%(message)s"), level=logging.WARNING)):
        yield


@contextmanager
def show_progress(console: Console) -> Iterator[None]:
    """Shows what is going on: moving bars on a terminal, plain lines otherwise; of a report's days one line in ten."""
    formatter = _Redacting("%(message)s")
    if not console.is_terminal:
        with _attached(_Lines(console, formatter)):
            yield
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[days]}"),
    )
    with Progress(*columns, console=console, transient=True) as bars, _attached(_Bars(console, formatter, bars)):
        yield


class _Lines(logging.Handler):
    def __init__(self, console: Console, formatter: logging.Formatter, level: int = logging.INFO) -> None:
        super().__init__(level)
        self._console = console
        self._said = dict[str, int]()
        self.setFormatter(formatter)

    def emit(self, record: logging.LogRecord) -> None:
        days: DaysRead | None = getattr(record, FIELD, None)
        if days is None or days.is_over or self._is_due(days):
            prefix = "warning: " if record.levelno >= logging.WARNING else ""
            self._console.print(prefix + self.format(record), markup=False, highlight=False, soft_wrap=True)

    def _is_due(self, days: DaysRead) -> bool:
        """Whether so much more was read that another line is worth it."""
        if days.done - self._said.get(days.report, 0) < DAYS_A_LINE:
            return False
        self._said[days.report] = days.done
        return True


class _Bars(_Lines):
    """A bar for each report whose days are being read; lines for all else, above the bars."""

    def __init__(self, console: Console, formatter: logging.Formatter, bars: Progress) -> None:
        super().__init__(console, formatter)
        self._bars, self._of = bars, dict[str, TaskID]()
        bars.add_task("at work", total=None, days="")

    def emit(self, record: logging.LogRecord) -> None:
        days: DaysRead | None = getattr(record, FIELD, None)
        if days is None or days.is_over:
            super().emit(record)
        if days is not None and days.is_over and days.report in self._of:
            self._bars.remove_task(self._of.pop(days.report))
        elif days is not None and not days.is_over:
            if days.report not in self._of:
                self._of[days.report] = self._bars.add_task(days.report, days="")
            text = f"{days.done} of {days.total} days"
            self._bars.update(self._of[days.report], completed=days.done, total=days.total, days=text)


@contextmanager
def _attached(handler: logging.Handler) -> Iterator[None]:
    logger = logging.getLogger(ROOT)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
        handler.close()
