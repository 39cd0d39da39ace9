"""What a backup is on disk: a list of paths with checksums, and the bytes they stand for."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import IO

from tokenboard_etl.errors import BackupDamaged
from tokenboard_etl.files import write_atomically

FORMAT = 1
_CHUNK = 1024 * 1024
_DIGITS = 16
"""Of the list's own SHA-256, in its name."""


@dataclass(frozen=True)
class Entry:
    """A file: its path below TOKENBOARD_HOME, its bytes' SHA-256 and size, its mode and time of change."""

    path: str
    sha256: str
    bytes: int
    mode: int
    mtime_ns: int


@dataclass(frozen=True)
class Backup:
    """One whole backup, by its list."""

    name: str
    taken_at: datetime
    entries: tuple[Entry, ...]


def content_path(folder: Path, sha256: str) -> Path:
    """Where the bytes of that checksum are."""
    return folder / "files" / sha256[:2] / sha256


def keep(folder: Path, source: IO[bytes]) -> tuple[str, int]:
    """Copies a file's bytes under their checksum, unless they are there; returns checksum and size."""
    beside = folder / "files" / f".{secrets.token_hex(8)}.part"
    try:
        with new_private_file(beside) as copy:
            checksum, size = copy_bytes(source, copy)
        kept = content_path(folder, checksum)
        if not (kept.exists() and kept.stat().st_size == size):
            kept.parent.mkdir(mode=0o700, exist_ok=True)
            beside.replace(kept)
    finally:
        beside.unlink(missing_ok=True)
    return checksum, size


def new_private_file(path: Path) -> IO[bytes]:
    """A file nobody else may read, from its first moment."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def copy_bytes(source: IO[bytes], copy: IO[bytes]) -> tuple[str, int]:
    """Copies to the end and flushes to disk; returns SHA-256 and size of what passed."""
    digest, size = hashlib.sha256(), 0
    while chunk := source.read(_CHUNK):
        digest.update(chunk)
        size += len(chunk)
        copy.write(chunk)
    copy.flush()
    os.fsync(copy.fileno())
    return digest.hexdigest(), size


def write_list(folder: Path, taken_at: datetime, entries: Sequence[Entry]) -> Backup:
    """Writes the list: from here on the backup exists."""
    listed = {"format": FORMAT, "taken_at": taken_at.isoformat(), "files": [asdict(entry) for entry in entries]}
    content = json.dumps(listed, ensure_ascii=False, indent=1).encode()
    name = f"{taken_at:%Y%m%dT%H%M%SZ}-{hashlib.sha256(content).hexdigest()[:_DIGITS]}"
    write_atomically(folder / f"{name}.json", content, mode=0o600)
    return Backup(name, taken_at, tuple(entries))


def lists(folder: Path) -> list[Path]:
    """The lists of all whole backups, oldest first."""
    return sorted(folder.glob(f"[0-9]*Z-{'[0-9a-f]' * _DIGITS}.json"))


def newest_backup(folder: Path) -> Backup | None:
    """The last whole backup; None if there is none."""
    found = lists(folder)
    return read_list(found[-1]) if found else None


def read_list(path: Path) -> Backup:
    """A backup by its list; raises BackupDamaged for one that is not as it was written."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BackupDamaged(f"Cannot read {path}: {error.strerror or error}.") from error
    if hashlib.sha256(content).hexdigest()[:_DIGITS] != path.stem.rpartition("-")[2]:
        raise BackupDamaged(f"The list {path} is not what was written (checksum differs). Use another backup.")
    listed = json.loads(content)
    if listed["format"] != FORMAT:
        raise BackupDamaged(f"The backup {path} was made by a newer version. Install that version or newer.")
    entries = tuple(Entry(**entry) for entry in listed["files"])
    for entry in entries:
        parts = PurePosixPath(entry.path)
        if parts.is_absolute() or ".." in parts.parts or not parts.parts:
            raise BackupDamaged(f"The list {path} names {entry.path!r}, which is outside of a home.")
    return Backup(path.stem, datetime.fromisoformat(listed["taken_at"]), entries)


def unused_contents(folder: Path) -> Iterator[Path]:
    """Bytes no whole backup names, and leftovers of a copy that was stopped."""
    named = {entry.sha256 for path in lists(folder) for entry in read_list(path).entries}
    for kept in (folder / "files").glob("*/*"):
        if kept.name not in named:
            yield kept
    yield from (folder / "files").glob(".*.part")
