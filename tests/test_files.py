"""What a disk that says no is called, and files that come together or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from tokenboard_etl.errors import StorageFailed
from tokenboard_etl.files import storage_errors, written_together


def test_a_device_that_is_full_is_named_with_what_helps() -> None:
    with (
        pytest.raises(StorageFailed, match=r"Cannot write /dev/full: the disk is full\..*; free space and run"),
        storage_errors(Path("/dev/full")),
    ):
        Path("/dev/full").write_bytes(b"x")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EDQUOT, "the disk quota is used up.*; free space and run"),
        (errno.EROFS, "the file system is read-only.*; mount it for writing and run"),
        (errno.EACCES, "permission was denied.*; let the user who runs this write there and run"),
        (errno.EIO, "Input/output error.*; mend that and run"),
    ],
)
def test_each_refusal_says_what_helps(tmp_path: Path, number: int, words: str) -> None:
    with pytest.raises(StorageFailed, match=words), storage_errors(tmp_path):
        raise OSError(number, "Input/output error")


def test_files_that_can_be_neither_put_in_place_nor_deleted_end_with_what_was_refused(tmp_path: Path) -> None:
    first, second = tmp_path / "a" / "page", tmp_path / "b" / "page"

    def write_both() -> None:
        with written_together() as put:
            put(first, b"new")
            shutil.rmtree(first.parent)
            first.parent.touch()  # what lies beside the page can be reached no more
            second.parent.touch()
            put(second, b"new")

    with pytest.raises(StorageFailed, match=f"Cannot write {second}: "):
        write_both()


def test_what_killed_processes_left_beside_pages_is_gone_after_an_hour(tmp_path: Path) -> None:
    """Beside one that stays as it is too, and what they were to become may be a document."""
    changed, unchanged = tmp_path / "a" / "page", tmp_path / "b" / "page"
    left = [
        folder / f".{name}.4711.part" for folder in (changed.parent, unchanged.parent) for name in ("page", "INV-1")
    ]
    being_written, other = tmp_path / "b" / ".page.4712.part", tmp_path / "b" / ".notes.part"
    for part in (unchanged, *left, being_written, other):
        part.parent.mkdir(exist_ok=True)
        part.write_bytes(b"as ever")
    link = tmp_path / "a" / ".page.4713.part"
    link.symlink_to(tmp_path)
    long_ago_s = being_written.stat().st_mtime - 3700
    for part in (*left, other, link):
        os.utime(part, (long_ago_s, long_ago_s), follow_symlinks=False)
    with written_together() as put:
        put(changed, b"new")
        put(unchanged, b"as ever")
    assert {path for path in tmp_path.rglob("*") if not path.is_dir()} == {changed, unchanged, being_written, other}
