"""Taking a backup: while nobody writes the warehouse, and without opening it."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tokenboard_etl.backups.stored import (
    Entry,
    content_path,
    keep,
    lists,
    newest_backup,
    read_list,
    unused_contents,
    write_list,
)
from tokenboard_etl.errors import BackupDamaged, WrongUse
from tokenboard_etl.files import storage_errors, sync_directory
from tokenboard_etl.landing import is_at_rest
from tokenboard_etl.warehouse.connection import WAIT_SECONDS, alone, writer_lock

log = logging.getLogger("tokenboard.backup")

_NOT_OURS = frozenset({"logs", "dagster", "running", "demo", "warehouse.duckdb.tmp"})
"""Folders of a home that hold nothing anybody needs again: Dagster's is its own history of runs."""


@dataclass(frozen=True)
class Taken:
    """What a backup consists of, and what of it was copied now; sizes in bytes."""

    name: str
    files: int
    bytes: int
    copied_files: int
    copied_bytes: int


def backup(
    home: Path,
    folder: Path,
    now: datetime,
    *,
    keep_last: int | None = None,
    wait_seconds: float = WAIT_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
) -> Taken:
    """Copies what `home` holds into `folder`; all of it or no backup. The warehouse is copied as it is, not migrated.

    Waits for another writer of the warehouse, then raises WarehouseBusy. `keep_last` removes all but so many of the
    newest backups afterwards, and what only they needed. Raises WrongUse where there is nothing to copy, or where
    one folder is inside the other.
    """
    folder = folder.expanduser().resolve()
    if folder == home or home in folder.parents or folder in home.parents:
        raise WrongUse(f"The backup {folder} and TOKENBOARD_HOME {home} are inside one another; choose another folder.")
    if not (home / "warehouse.duckdb").exists():
        raise WrongUse(f"There is no warehouse in {home} yet; `tokenboard nightly` makes one.")
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / "files").mkdir(exist_ok=True, mode=0o700)
    with (
        writer_lock(home / "warehouse.lock", wait_seconds, sleep),
        alone(folder / ".lock", f"the backup {folder}", wait_seconds, sleep),
        storage_errors(folder),
    ):
        before = _newest_readable(folder)
        entries = [entry for name in sorted(files_of(home)) if (entry := _copied(home, name, folder, before))]
        _sync(folder)
        taken = write_list(folder, now, entries)
        copied = [entry for entry in entries if before.get(entry.path) != entry]
        if keep_last is not None:
            _forget(folder, keep_last)
    log.info("backed up %d file(s) of %s, %d of them new or changed", len(entries), home, len(copied))
    sizes = (sum(entry.bytes for entry in each) for each in (entries, copied))
    return Taken(taken.name, len(entries), next(sizes), len(copied), next(sizes))


def files_of(home: Path) -> Iterator[str]:
    """The paths below a home that a backup holds: not logs, locks, Dagster's history, or work that is under way."""
    landing = home / "landing"
    for found, folders, files in os.walk(home, followlinks=True):
        inside = Path(found)
        folders[:] = [
            name for name in folders if not name.startswith(".") and not (inside == home and name in _NOT_OURS)
        ]
        if len(inside.parts) == len(landing.parts) + 3 and landing in inside.parents and not is_at_rest(inside):
            continue
        for name in files:
            if not name.startswith(".") and not name.endswith(".lock"):
                yield (inside / name).relative_to(home).as_posix()


def _newest_readable(folder: Path) -> dict[str, Entry]:
    """The files of the last backup by path, whose bytes need no second copy; none if its list is damaged."""
    try:
        newest = newest_backup(folder)
    except BackupDamaged as damaged:
        log.warning("%s Everything is copied anew.", damaged)
        return {}
    return {entry.path: entry for entry in newest.entries} if newest else {}


def _copied(home: Path, name: str, folder: Path, before: dict[str, Entry]) -> Entry | None:
    """A file's entry, its bytes being in the folder; None if it went away meanwhile, as an inbox's files may."""
    try:
        with (home / name).open("rb") as source:
            state = os.fstat(source.fileno())
            known = before.get(name)
            if (
                known is not None
                and name.startswith("landing/")
                and (known.bytes, known.mtime_ns) == (state.st_size, state.st_mtime_ns)
                and content_path(folder, known.sha256).exists()
            ):
                return known
            checksum, size = keep(folder, source)
    except FileNotFoundError:
        return None
    return Entry(name, checksum, size, state.st_mode & 0o777, state.st_mtime_ns)


def _sync(folder: Path) -> None:
    """The names of all bytes are on disk before the list is."""
    for each in [*(folder / "files").glob("*/"), folder / "files"]:
        sync_directory(each)


def _forget(folder: Path, keep_last: int) -> None:
    for old in lists(folder)[:-keep_last]:
        old.unlink()
    for path in lists(folder):
        read_list(path)  # a damaged one hides what it needs, so nothing is removed
    for unused in list(unused_contents(folder)):
        unused.unlink()
