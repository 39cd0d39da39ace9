"""Files that are there whole or not at all, and an honest word when the disk says no."""

from __future__ import annotations

import errno
import glob
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tokenboard_etl.errors import StorageFailed

FULL, OVER_QUOTA, READ_ONLY, DENIED = (
    "the disk is full", "the disk quota is used up", "the file system is read-only", "permission was denied",
)  # fmt: skip

_REASONS = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: OVER_QUOTA,
    errno.EROFS: READ_ONLY,
    errno.EACCES: DENIED,
    errno.EPERM: DENIED,
}

_ADVICE = {
    FULL: "free space",
    OVER_QUOTA: "free space",
    READ_ONLY: "mount it for writing",
    DENIED: "let the user who runs this write there",
}

_ABANDONED_NS = 60 * 60 * 10**9
"""What a process has not written to for so long, it left behind."""


class UnreadableFile(ValueError):
    """A file somebody gave us and of which nothing can be trusted; the message never repeats what it holds."""


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turns an operating system's refusal to write at `path` into StorageFailed."""
    try:
        yield
    except OSError as error:
        raise storage_failed(path, _REASONS.get(error.errno or 0, error.strerror or "the write failed")) from error


def storage_failed(path: Path, reason: str) -> StorageFailed:
    """What was refused where, and what helps against it."""
    advice = _ADVICE.get(reason, "mend that")
    return StorageFailed(
        f"Cannot write {path}: {reason}. Nothing half-written is used; {advice} and run the same command again."
    )


def sync_directory(folder: Path) -> None:
    """Makes a rename inside `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Writes beside `path`, flushes to disk, then renames: a reader sees the old bytes or the new ones."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with beside.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            beside.chmod(mode)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
        sync_directory(path.parent)


@contextmanager
def written_in_place_of(folder: Path) -> Iterator[Path]:
    """Yields an empty folder beside; when the block ends it takes the place of `folder`, with all its files at once.

    Whoever opens the folder meets the old files or the new ones; in the moment between two renames there is none, and
    after an error the old one stays. The files are to be flushed by who writes them.
    """
    with storage_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
        old = beside.with_name(f"{beside.name}-old")
        try:
            yield beside
            beside.chmod(0o755)
            sync_directory(beside)
            with suppress(FileNotFoundError):
                folder.rename(old)
            beside.rename(folder)
            sync_directory(folder.parent)
            remove_leftovers(folder)
        finally:
            if old.exists() and not folder.exists():
                old.rename(folder)
            for each in (beside, old):
                shutil.rmtree(each, ignore_errors=True)


def remove_leftovers(path: Path) -> None:
    """Deletes what killed processes began to write in the place of `path`, which was written just now."""
    _remove_abandoned(path.parent, f".{glob.escape(path.name)}.*.part*", path.stat().st_mtime_ns)


def _remove_abandoned(folder: Path, pattern: str, now_ns: int) -> None:
    """What cannot be deleted, or is gone just now, is no reason to fail: what was to be written is in its place."""
    with suppress(OSError):
        for part in folder.glob(pattern):
            if part.lstat().st_mtime_ns < now_ns - _ABANDONED_NS:
                shutil.rmtree(part) if part.is_dir() and not part.is_symlink() else part.unlink()


@contextmanager
def written_together() -> Iterator[Callable[[Path, bytes], bool]]:
    """Many files at the price of one flush: yields a function that writes beside a path and says if that is a change.

    Once all are on disk they are put in place, one rename each; after an error before that none is. A file that holds
    the same already is left alone, its time of change included. With a change goes what killed processes left there.
    """
    beside: dict[Path, Path] = {}
    folders: set[Path] = set()

    def put(path: Path, content: bytes) -> bool:
        folders.add(path.parent)
        with storage_errors(path):
            if path.exists() and path.read_bytes() == content:
                return False
            path.parent.mkdir(parents=True, exist_ok=True)
            part = beside[path] = path.with_name(f".{path.name}.{os.getpid()}.part")
            part.write_bytes(content)
            part.chmod(0o644)
        return True

    try:
        yield put
        if beside:
            with storage_errors(next(iter(beside)).parent):
                os.sync()
                for path, part in beside.items():
                    part.replace(path)
                now_ns = max(path.stat().st_mtime_ns for path in beside)
                for folder in folders:
                    _remove_abandoned(folder, ".*.*[0-9].part", now_ns)
    finally:
        for part in beside.values():
            with suppress(OSError):  # where writing was refused, deleting may be too
                part.unlink()


def read_at_rest(path: Path, max_bytes: int) -> bytes | None:
    """A regular file's bytes; None for one that changes meanwhile. Links and devices are not followed."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                raise UnreadableFile("it is no regular file")
            if before.st_size > max_bytes:
                size = f"{max_bytes // 2**20} MB" if max_bytes >= 2**20 else f"{max_bytes // 2**10} KB"
                raise UnreadableFile(f"it is larger than {size}; split it")
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                content = file.read(max_bytes + 1)
            after = os.fstat(descriptor)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UnreadableFile(f"it cannot be read: {error.strerror}") from None
    same = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
    return content if same and len(content) == before.st_size else None


def printable(name: str) -> str:
    """A file's name as text that can be printed."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)
