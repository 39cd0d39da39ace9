"""Putting a backup back: everything is copied and verified beside the home's files before one of them changes."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tokenboard_etl.backups.stored import Backup, Entry, content_path, copy_bytes, lists, new_private_file, read_list
from tokenboard_etl.backups.taking import files_of
from tokenboard_etl.errors import BackupDamaged, WrongUse
from tokenboard_etl.files import storage_errors, sync_directory, write_atomically
from tokenboard_etl.warehouse.connection import RESTORING, WAIT_SECONDS, alone

log = logging.getLogger("tokenboard.restore")

_STAGED = ".restored-"


@dataclass(frozen=True)
class Restored:
    """Which backup was put back; size in bytes."""

    name: str
    files: int
    bytes: int


def restore(
    folder: Path,
    home: Path,
    *,
    name: str | None = None,
    replace: bool = False,
    wait_seconds: float = WAIT_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
) -> Restored:
    """Makes `home` what it was when the backup `name`, or else the newest one, was taken.

    A home that holds anything is refused with WrongUse unless `replace` is given: then all of that goes. Every
    checksum is verified before; BackupDamaged leaves the home as it was. Stopped in the middle, the same call does
    the rest, and until then the warehouse is not opened.
    """
    chosen = _choose(folder.expanduser().resolve(), name)
    with storage_errors(home):
        home.mkdir(parents=True, exist_ok=True)
    with alone(home / "warehouse.lock", f"{home}", wait_seconds, sleep), storage_errors(home):
        for leftover in home.glob(f"{_STAGED}*"):
            shutil.rmtree(leftover)
        if not replace and not (home / RESTORING).exists() and any(files_of(home)):
            raise WrongUse(
                f"{home} is not empty. Choose another TOKENBOARD_HOME, or say --replace to lose what it holds."
            )
        staged = Path(tempfile.mkdtemp(prefix=_STAGED, dir=home))
        try:
            _stage(folder.expanduser().resolve(), chosen, staged)
            write_atomically(home / RESTORING, chosen.name.encode())
            _put_in_place(staged, home)
            (home / RESTORING).unlink()
            sync_directory(home)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
    log.info("restored %d file(s) of the backup %s", len(chosen.entries), chosen.name)
    return Restored(chosen.name, len(chosen.entries), sum(entry.bytes for entry in chosen.entries))


def _choose(folder: Path, name: str | None) -> Backup:
    found = {path.stem: path for path in lists(folder)}
    if not found:
        raise WrongUse(f"There is no whole backup in {folder}.")
    if name is None:
        return read_list(list(found.values())[-1])
    if name not in found:
        raise WrongUse(f"There is no backup {name} in {folder}; there are {', '.join(found)}.")
    return read_list(found[name])


def _stage(folder: Path, chosen: Backup, staged: Path) -> None:
    """Copies every file, verifying it on the way; raises BackupDamaged naming what is wrong with how many."""
    wrong = [entry for entry in chosen.entries if not _is_staged(folder, entry, staged)]
    if wrong:
        raise BackupDamaged(
            f"The backup {chosen.name} lacks {len(wrong)} file(s) or holds them altered, the first is {wrong[0].path} "
            f"({content_path(folder, wrong[0].sha256)}). Nothing was restored; choose another with --backup."
        )


def _is_staged(folder: Path, entry: Entry, staged: Path) -> bool:
    target = staged / entry.path
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source = content_path(folder, entry.sha256).open("rb")
    except OSError:
        return False
    with source, new_private_file(target) as copy:
        same = copy_bytes(source, copy) == (entry.sha256, entry.bytes)
    target.chmod(entry.mode)
    os.utime(target, ns=(entry.mtime_ns, entry.mtime_ns))
    return same


def _put_in_place(staged: Path, home: Path) -> None:
    """Replaces what the home holds. A home may be a mount point, so it is its entries that are renamed."""
    for old in {home / Path(name).parts[0] for name in files_of(home)}:
        if old.is_dir() and not old.is_symlink():
            shutil.rmtree(old)
        else:
            old.unlink()
    for entry in staged.iterdir():
        target = home / entry.name
        if target.is_dir():  # holds nothing any more but folders and work that was under way
            shutil.rmtree(target)
        entry.rename(target)
