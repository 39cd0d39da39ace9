"""A load in progress: pages are journalled as they arrive, and the manifest is written last."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import shutil
import threading
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import IO, Any

import zstandard

from tokenboard_etl.errors import answered_as
from tokenboard_etl.files import storage_errors, sync_directory, write_atomically
from tokenboard_etl.http import Answer
from tokenboard_etl.landing.stored import MANIFEST, RESUMABLE_FOR, Landing, Page, read_body, read_landing
from tokenboard_etl.periods import Window
from tokenboard_etl.providers.wire import Request

REJECTED = ".rejected"
COMPRESSION_LEVEL = 1
"""Of answers like these the default, 3, makes larger files and takes half as long again, to write and to read."""

_JOURNAL = "pages.jsonl"


def is_at_rest(folder: Path) -> bool:
    """Whether no load writes into this folder any more: it is complete, or was set aside."""
    return (folder / MANIFEST).exists() or folder.name.endswith(REJECTED)


class OpenLanding:
    """A load in progress. Only one process works on a folder: it holds a lock on the journal."""

    def __init__(self, folder: Path, head: dict[str, Any], journal: IO[bytes], pages: list[Page]) -> None:
        self.folder, self._head, self._journal, self._pages = folder, head, journal, pages
        self._by_request = {page.request: page for page in pages}
        self._asked = set[str]()
        self._one_at_a_time = threading.Lock()

    @property
    def load_id(self) -> str:
        return self.folder.name

    @property
    def started_at(self) -> datetime:
        return datetime.fromisoformat(self._head["started_at"])

    @property
    def uses(self) -> dict[str, str]:
        """The loads this one is read with, by report (the key list of an analytics load); fixed when it began."""
        return dict(self._head["uses"])

    def find(self, request: Request) -> bytes | None:
        """The body this request already got in this load."""
        self._asked.add(request.fingerprint)
        page = self._by_request.get(request.fingerprint)
        if page is None:
            return None
        answered_as.set(page.request_id)
        return read_body(self.folder, page)

    def add(self, request: Request, answer: Answer, received_at: datetime) -> Page:
        """Writes one body; it counts once its journal line is on disk. May be called from several threads."""
        with self._one_at_a_time:
            return self._add(request, answer, received_at)

    def _add(self, request: Request, answer: Answer, received_at: datetime) -> Page:
        number = len(self._pages) + 1
        page = Page(
            number,
            f"page-{number:05d}.json.zst",
            request.fingerprint,
            dict(request.context),
            answer.status,
            answer.request_id,
            received_at.isoformat(),
            len(answer.body),
            hashlib.sha256(answer.body).hexdigest(),
        )
        with storage_errors(self.folder):
            with (self.folder / page.file).open("wb") as file:
                file.write(zstandard.compress(answer.body, COMPRESSION_LEVEL))
                file.flush()
                os.fsync(file.fileno())
            _write_line(self._journal, asdict(page))
        self._pages.append(page)
        self._by_request[page.request] = page
        self._asked.add(page.request)
        return page

    def complete(self, days: frozenset[date] | None, finished_at: datetime, unavailable: str | None = None) -> Landing:
        """Writes the manifest: from here on the load exists. `unavailable` says why the provider gave nothing.

        It names the pages that were asked for in this walk. A page of an interrupted try that this walk had no
        question for (things had changed meanwhile) is not part of the answer.
        """
        manifest = {
            **self._head,
            "finished_at": finished_at.isoformat(),
            "days": None if days is None else [str(day) for day in sorted(days)],
            "unavailable": unavailable,
            "pages": [asdict(page) for page in self._pages if page.request in self._asked],
        }
        text = json.dumps(manifest, ensure_ascii=False, indent=1)
        write_atomically(self.folder / MANIFEST, text.encode())
        self.close()
        (self.folder / _JOURNAL).unlink()
        return read_landing(self.folder)

    def reject(self) -> Path:
        """Sets the load aside so that it is neither loaded nor continued; returns where it went."""
        self.close()
        if not self._pages:
            shutil.rmtree(self.folder)
            return self.folder.parent
        (self.folder / _JOURNAL).rename(self.folder / "rejected.jsonl")
        return self.folder.rename(self.folder.with_name(self.folder.name + REJECTED))

    def close(self) -> None:
        """Lets go of the folder; what is in it stays and can be continued."""
        with self._one_at_a_time:  # what is being written gets its line
            self._journal.close()


def begin(
    root: Path,
    connection_id: str,
    provider: str,
    report: str,
    window: Window,
    now: datetime,
    *,
    account: str = "",
    uses: Mapping[str, str] | None = None,
    run: str = "",
) -> OpenLanding:
    """Continues an interrupted load of the same window and account, or starts one. Older ones are removed.

    `account` tells provider accounts apart (an address and a key, hashed): two of them never share a load. `uses`
    names other loads that this one is read with; a continued load keeps those it began with, and takes over `run`.
    """
    reports = root / connection_id / report
    with storage_errors(reports):
        reports.mkdir(parents=True, exist_ok=True)
        for journal_path in sorted(reports.glob(f"*/{_JOURNAL}")):
            resumed = _resume(journal_path, window, account, run, now)
            if resumed:
                return resumed
        folder = reports / _load_id(reports, now)
        folder.mkdir()
        head = {
            "format": 1,
            "load_id": folder.name,
            "connection_id": connection_id,
            "provider": provider,
            "report": report,
            "account": account,
            "uses": dict(uses or {}),
            "run": run,
            "window": [str(window.start), str(window.end)],
            "started_at": now.isoformat(),
        }
        unnamed = folder / ".journal"  # nobody sees it before it is locked and has its first line
        journal = unnamed.open("ab+")
        fcntl.flock(journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _write_line(journal, head)
        unnamed.rename(folder / _JOURNAL)
        sync_directory(reports)
        return OpenLanding(folder, head, journal, [])


def _load_id(reports: Path, now: datetime) -> str:
    """Unique everywhere, and in the order of time within a report, also when a clock stands still."""
    instant = f"{now:%Y%m%dT%H%M%SZ}"
    return f"{instant}-{sum(1 for _ in reports.glob(f'{instant}-*')):03d}{secrets.token_hex(3)}"


def _resume(journal_path: Path, window: Window, account: str, run: str, now: datetime) -> OpenLanding | None:
    folder = journal_path.parent
    journal = journal_path.open("ab+")
    try:
        fcntl.flock(journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:  # another process is at work on it
        journal.close()
        return None
    if (folder / MANIFEST).exists():  # stopped between the manifest and the journal's removal
        journal.close()
        journal_path.unlink()
        return None
    lines = _whole_lines(journal)
    head = lines[0] if lines else None
    young = head and timedelta(0) <= now - datetime.fromisoformat(head["started_at"]) <= RESUMABLE_FOR
    if head and young and (head["window"], head["account"]) == ([str(window.start), str(window.end)], account):
        return OpenLanding(folder, {**head, "run": run}, journal, [Page(**line) for line in lines[1:]])
    journal.close()
    if not young:
        shutil.rmtree(folder)
    return None


def _write_line(journal: IO[bytes], content: dict[str, Any]) -> None:
    """Appends a line that is on disk when this returns."""
    journal.write(json.dumps(content, ensure_ascii=False).encode() + b"\n")
    journal.flush()
    os.fsync(journal.fileno())


def _whole_lines(journal: IO[bytes]) -> list[dict[str, Any]]:
    """The journal's lines; a last one that was cut off by a crash is removed."""
    journal.seek(0)
    written = journal.read()
    whole = written[: written.rfind(b"\n") + 1]
    if whole != written:
        journal.truncate(len(whole))
    return [json.loads(line) for line in whole.split(b"\n") if line]
