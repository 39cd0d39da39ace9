"""Kill -9 after any statement of an issuing transaction: a connection that counts, and a child that dies."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb

from billing.months import JUNE, NOW, close
from tokenboard_etl.billing.credit_notes import issue_credit_note
from tokenboard_etl.documents import write_documents
from tokenboard_etl.rendering.invoices import render_invoice
from tokenboard_etl.warehouse.connection import open_warehouse

Action = Callable[[Any, Path], None]
"""Issues something on a connection and writes its files below a folder."""

_TOUCHING = ("begin", "execute", "commit", "rollback", "appender")


class Counting:
    """A connection that calls `after` with the number of each statement it has run."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, after: Callable[[int], None]) -> None:
        self._connection, self._after, self.statements, self.flushed = connection, after, 0, list[int]()

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._connection, name)
        if name not in _TOUCHING:
            return attribute

        def counted(*arguments: Any) -> Any:
            result = attribute(*arguments)
            self.count()
            return _Appender(result, self) if name == "appender" else result

        return counted

    def count(self) -> None:
        self.statements += 1
        self._after(self.statements)


class _Appender:
    """Rows that are flushed are a statement too."""

    def __init__(self, appender: Any, counting: Counting) -> None:
        self._appender, self._counting = appender, counting

    def append_rows(self, rows: Any) -> None:
        self._appender.append_rows(rows)
        self._counting.count()

    def flush(self) -> None:
        self._appender.flush()
        self._counting.flushed.append(self._counting.statements + 1)
        self._counting.count()


def close_june(connection: Any, reports: Path) -> None:
    """Closes June for everybody and writes the files."""
    close(connection, JUNE)
    write_documents(connection, reports, JUNE)


def credit_the_first(connection: Any, reports: Path) -> None:
    """Credits the first invoice in full and writes its file."""
    number = connection.execute("SELECT min(invoice_number) FROM billing.documents").fetchall()[0][0]
    note = issue_credit_note(connection, number, NOW, render_invoice, reason="wrong customer")
    write_documents(connection, reports, note.month)


def statements_of(action: Action, path: Path, reports: Path) -> tuple[int, list[int]]:
    """How many statements an action runs, and which of them wrote rows of documents; it is done then."""
    with open_warehouse(path) as connection:
        counting = Counting(connection, lambda _: None)
        action(counting, reports)
    return counting.statements, counting.flushed


def run_and_die(action: Action, path: Path, reports: Path, statement: int) -> None:
    """Runs an action in a process that is killed right after a statement."""
    child = multiprocessing.get_context("spawn").Process(target=_victim, args=(action, path, reports, statement))
    child.start()
    child.join(120)
    assert child.exitcode == -signal.SIGKILL, child.exitcode


def _victim(action: Action, path: Path, reports: Path, statement: int) -> None:
    def die(count: int) -> None:
        if count == statement:
            os.kill(os.getpid(), signal.SIGKILL)

    with open_warehouse(path) as connection:
        action(Counting(connection, die), reports)
