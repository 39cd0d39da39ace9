"""Why the newest try of a report ended without a load: a note beside its landings, for whoever loads.

Extraction may run in another process than the load, and the load must not take silence for "nothing new".
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from tokenboard_etl.errors import TokenboardError, error_named
from tokenboard_etl.files import storage_errors, sync_directory, write_atomically
from tokenboard_etl.periods import Window
from tokenboard_etl.redaction import redact

_NOTE = "failed.json"


@dataclass(frozen=True)
class FailedTry:
    """`kind` is the error's class in errors.py, `run` the run it happened in."""

    connection_id: str
    report: str
    window: str
    run: str
    failed_at: str
    kind: str
    message: str

    @property
    def error(self) -> TokenboardError:
        """The error as it was raised."""
        return error_named(self.kind, self.message)


def write_failure(
    root: Path, connection_id: str, report: str, window: Window, run: str, at: datetime, error: TokenboardError
) -> None:
    """Leaves the note; it replaces an earlier one."""
    note = FailedTry(connection_id, report, str(window), run, at.isoformat(), type(error).__name__, redact(str(error)))
    write_atomically(root / connection_id / report / _NOTE, json.dumps(asdict(note), ensure_ascii=False).encode())


def clear_failure(root: Path, connection_id: str, report: str) -> None:
    """Removes the note after a success."""
    folder = root / connection_id / report
    with storage_errors(folder):
        if (folder / _NOTE).exists():
            (folder / _NOTE).unlink()
            sync_directory(folder)


def failures(root: Path, connection_ids: Collection[str]) -> list[FailedTry]:
    """The notes of these connections."""
    return [
        FailedTry(**json.loads(note.read_bytes()))
        for connection_id in sorted(connection_ids)
        for note in sorted((root / connection_id).glob(f"*/{_NOTE}"))
    ]
