"""Where log records go: a file under TOKENBOARD_HOME/logs, and a person's eye while a command runs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path

from rich.console import Console

from tokenboard_etl.files import storage_errors
from tokenboard_etl.redaction import redact

ROOT = "tokenboard"


class _Redacting(logging.Formatter):
    """The one door every record passes: nothing that looks like a key gets through."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


@contextmanager
def log_to(folder: Path) -> Iterator[None]:
    """Writes records of this system to `folder`/tokenboard.log while the block runs."""
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        handler = RotatingFileHandler(
            folder / "tokenboard.log", maxBytes=10_000_000, backupCount=5, encoding="utf-8", errors="replace"
        )
    handler.setFormatter(_Redacting("%(asctime)s %(levelname)s %(name)s %(message)s"))
    with _attached(handler):
        yield


@contextmanager
def show_warnings(console: Console) -> Iterator[None]:
    """Shows warnings only: for commands that are over at once, unless they have to wait."""
    with _attached(_Lines(console, _Redacting("%(message)s"), level=logging.WARNING)):
        yield


@contextmanager
def show_progress(console: Console) -> Iterator[None]:
    """Shows what is going on: a moving line on a terminal, one plain line per step otherwise."""
    formatter = _Redacting("%(message)s")
    if not console.is_terminal:
        with _attached(_Lines(console, formatter)):
            yield
        return
    with console.status("starting") as status, _attached(_Lines(console, formatter, status.update)):
        yield


class _Lines(logging.Handler):
    def __init__(
        self, console: Console, formatter: logging.Formatter, update: object = None, level: int = logging.INFO
    ) -> None:
        super().__init__(level)
        self._console, self._update = console, update
        self.setFormatter(formatter)

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        prefix = "warning: " if record.levelno >= logging.WARNING else ""
        self._console.print(prefix + text, markup=False, highlight=False, soft_wrap=True)
        if callable(self._update):
            self._update(text)


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
