"""Whole files for readers: each publication stays under a name of its own, and a link leads to the newest one.

DuckDB opens a file by its name three times, so a rename in between would give it the head of one file and the body of
another. A link it follows once, before it opens anything: whoever asks meets one publication, never two.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from tokenboard_etl.files import storage_errors, sync_directory

KEPT = 3
"""So many earlier publications stay beside the newest one, so that yesterday's can be asked again."""

_GRACE_NS = 60 * 10**9
"""So long a file stays in any case: who has followed the link to it has not opened it yet."""


def publications_of(published: Path) -> list[Path]:
    """The files that were published under this name and are still kept, oldest first; the link leads to the last."""
    return sorted(_folder(published).glob(f"{published.stem}-*{published.suffix}"))


def put_in_place(published: Path, write: Callable[[Path], None]) -> None:
    """Lets `write` make a whole, verified file, then turns the link to it; raises StorageFailed if the disk says no."""
    folder = _folder(published)
    beside, link = (published.with_name(f".{published.name}.{os.getpid()}.{kind}") for kind in ("part", "part-link"))
    with storage_errors(published):
        folder.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(published)
        try:
            write(beside)
            _flush(beside)
            beside.chmod(0o444)
            written_at = datetime.fromtimestamp(beside.stat().st_mtime, UTC)
            name = folder / f"{published.stem}-{written_at:%Y%m%dT%H%M%S.%f}Z{published.suffix}"
            beside.rename(name)
            sync_directory(folder)
            link.symlink_to(name.relative_to(published.parent))
            link.replace(published)
        finally:
            beside.unlink(missing_ok=True)
            link.unlink(missing_ok=True)
        sync_directory(published.parent)
        _forget(published, before_ns=name.stat().st_mtime_ns - _GRACE_NS)


def _folder(published: Path) -> Path:
    return published.parent / "publications"


def _remove_leftovers(published: Path) -> None:
    """What a killed process had begun: parts, and whole files no link was turned to."""
    for part in published.parent.glob(f".{published.name}.*.part*"):
        part.unlink()
    if published.is_symlink():
        newest = published.readlink().name
        for unseen in publications_of(published):
            if unseen.name > newest:
                unseen.unlink()


def _forget(published: Path, before_ns: int) -> None:
    for old in publications_of(published)[: -1 - KEPT]:
        if old.stat().st_mtime_ns < before_ns:
            old.unlink()


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
