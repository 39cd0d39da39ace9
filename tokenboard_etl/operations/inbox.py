"""The inbox of operations: which files are read, and that each operation is loaded once.

Files stay where they are. A program that is still writing one would lose the rest if it were moved, and a night that
was killed needs no repair: what a file's bytes have given is known by their SHA-256, an operation by its id.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import duckdb

from tokenboard_etl.errors import ConfigurationError
from tokenboard_etl.files import UnreadableFile, printable, read_at_rest
from tokenboard_etl.operations.formats import READERS, Row, read_rows
from tokenboard_etl.operations.operation import Operation, UnfitRow, parse_operation
from tokenboard_etl.operations.store import Reject, insert_new, is_known, known_tenants, record_reading
from tokenboard_etl.periods import FIRST_DAY, utc_day
from tokenboard_etl.warehouse.connection import transaction

log = logging.getLogger("tokenboard.operations")

MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Taken:
    """Files read, rows that are new, and rows or whole files put into quarantine."""

    files: int = 0
    loaded: int = 0
    rejected: int = 0


class _File(NamedTuple):
    """`refused` is why it has no content."""

    name: str
    suffix: str
    content: bytes
    refused: str | None = None

    @property
    def sha256(self) -> str:
        return "" if self.refused else hashlib.sha256(self.content).hexdigest()


def take_in(connection: duckdb.DuckDBPyConnection, folder: Path, now: datetime) -> Taken:
    """Loads every operation that is new, file by file in the order of their names, each in one transaction.

    A file is passed over if its bytes have been loaded whole before, under whatever name; one with rows in quarantine
    is tried again, because a tenant may have been registered since. A file that changes while it is read is left for
    the next time.
    """
    taken = Taken()
    for file in _files(folder):
        if file.sha256 and is_known(connection, file.sha256):
            continue
        with transaction(connection):
            rows, rejects = _rows_of(file)
            tenants = known_tenants(connection)
            fit: dict[str, tuple[int, Operation]] = {}
            for row in rows:
                try:
                    _add(fit, row, tenants, now)
                except UnfitRow as unfit:
                    rejects.append(Reject(row.number, str(unfit)))
            loaded, conflicts = insert_new(connection, list(fit.values()), now)
            rejects = sorted([*rejects, *conflicts], key=lambda reject: reject.row_number or 0)
            record_reading(connection, file.name, file.sha256, len(file.content), len(rows), loaded, rejects, now)
        log.info("%s: %d operation(s) loaded, %d in quarantine", file.name, loaded, len(rejects))
        taken = Taken(taken.files + 1, taken.loaded + loaded, taken.rejected + len(rejects))
    return taken


def _rows_of(file: _File) -> tuple[list[Row], list[Reject]]:
    if file.refused:
        return [], [Reject(None, file.refused)]
    try:
        return read_rows(file.content, file.suffix), []
    except UnreadableFile as unreadable:
        return [], [Reject(None, str(unreadable))]


def _add(fit: dict[str, tuple[int, Operation]], row: Row, tenants: frozenset[str], now: datetime) -> None:
    """Puts a row's operation to the others of its file; raises UnfitRow."""
    if row.unfit:
        raise UnfitRow(row.unfit)
    operation = parse_operation(row.values)
    if operation.tenant_id not in tenants:
        raise UnfitRow("tenant_id: there is no such tenant")
    if operation.occurred_at > now:
        raise UnfitRow("occurred_at: is in the future")
    if utc_day(operation.occurred_at) < FIRST_DAY:
        raise UnfitRow(f"occurred_at: is before {FIRST_DAY}")
    _, earlier = fit.setdefault(operation.operation_id, (row.number, operation))
    if earlier != operation:
        raise UnfitRow("operation_id: an earlier row of the file bears it, with other content")


def _files(folder: Path) -> Iterator[_File]:
    """The files that are to be read. Hidden ones and other endings are somebody's work in progress."""
    try:
        paths = sorted(folder.iterdir())
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigurationError(f"Cannot read the inbox {folder}: {error.strerror}.") from None
    for path in paths:
        suffix = path.suffix.lower()
        if suffix in READERS and not path.name.startswith("."):
            shown = printable(path.name)
            try:
                content = read_at_rest(path, MAX_BYTES)
            except UnreadableFile as unreadable:
                yield _File(shown, suffix, b"", str(unreadable))
                continue
            if content is None:
                log.info("%s is being written; it is left for the next time", shown)
            else:
                yield _File(shown, suffix, content)
