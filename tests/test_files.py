"""What a disk that says no is called."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from tokenboard_etl.errors import StorageFailed
from tokenboard_etl.files import storage_errors


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
