"""What arrived, as it arrived: immutable compressed pages, and a manifest written last.

    landing/<connection>/<report>/<load_id>/
        page-00001.json.zst     one body, byte for byte, compressed
        pages.jsonl             a line per page that is whole on disk: request, status, size, SHA-256
        manifest.json           written last and atomically; without it the load does not exist

A load that was interrupted is continued: a request whose page is on disk is answered from there. A load whose
body could not be understood is set aside as `<load_id>.rejected` for a person to look at.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import IO, Any

import zstandard

from tokenboard_etl.errors import LandingDamaged
from tokenboard_etl.files import storage_errors, sync_directory, write_atomically
from tokenboard_etl.http import Answer
from tokenboard_etl.periods import Window
from tokenboard_etl.providers.wire import Request

RESUMABLE_FOR = timedelta(hours=6)
"""An older interrupted load is begun anew: its days have moved on, and so have the provider's page tokens."""

REJECTED = ".rejected"
_JOURNAL = "pages.jsonl"
_MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Page:
    """One landed body. `bytes` and `sha256` are of the body before compression."""

    number: int
    file: str
    request: str
    context: dict[str, Any]
    status: int
    request_id: str | None
    received_at: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Landing:
    """A complete load. `days` are the days the provider confirmed; None for a snapshot of now, which has none."""

    load_id: str
    connection_id: str
    provider: str
    report: str
    window: Window
    days: tuple[date, ...] | None
    started_at: datetime
    finished_at: datetime
    pages: tuple[Page, ...]
    folder: Path

    @property
    def sha256(self) -> str:
        """One checksum for all bodies, in order."""
        return hashlib.sha256("".join(page.sha256 for page in self.pages).encode()).hexdigest()

    def verify(self) -> None:
        """Raises LandingDamaged unless every body has the checksum it arrived with."""
        for page in self.pages:
            read_body(self.folder, page)


class OpenLanding:
    """A load in progress. Only one process works on a folder: it holds a lock on the journal."""

    def __init__(self, folder: Path, head: dict[str, Any], journal: IO[bytes], pages: list[Page]) -> None:
        self.folder, self._head, self._journal, self._pages = folder, head, journal, pages
        self._by_request = {page.request: page for page in pages}
        self._asked = set[str]()

    @property
    def load_id(self) -> str:
        return self.folder.name

    @property
    def started_at(self) -> datetime:
        return datetime.fromisoformat(self._head["started_at"])

    @property
    def uses(self) -> str | None:
        """The load this one is read with (the key list of an analytics load), fixed when it began."""
        uses: str | None = self._head["uses"]
        return uses

    def find(self, request: Request) -> bytes | None:
        """The body this request already got in this load."""
        self._asked.add(request.fingerprint)
        page = self._by_request.get(request.fingerprint)
        return read_body(self.folder, page) if page else None

    def add(self, request: Request, answer: Answer, received_at: datetime) -> Page:
        """Writes one body; it counts once its journal line is on disk."""
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
                file.write(zstandard.compress(answer.body))
                file.flush()
                os.fsync(file.fileno())
            _write_line(self._journal, asdict(page))
        self._pages.append(page)
        self._by_request[page.request] = page
        self._asked.add(page.request)
        return page

    def complete(self, days: frozenset[date] | None, finished_at: datetime) -> Landing:
        """Writes the manifest: from here on the load exists.

        It names the pages that were asked for in this walk. A page of an interrupted try that this walk had no
        question for (things had changed meanwhile) is not part of the answer.
        """
        manifest = {
            **self._head,
            "finished_at": finished_at.isoformat(),
            "days": None if days is None else [str(day) for day in sorted(days)],
            "pages": [asdict(page) for page in self._pages if page.request in self._asked],
        }
        text = json.dumps(manifest, ensure_ascii=False, indent=1)
        write_atomically(self.folder / _MANIFEST, text.encode())
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
    uses: str | None = None,
) -> OpenLanding:
    """Continues an interrupted load of the same window and account, or starts one. Older ones are removed.

    `account` tells provider accounts apart (an address and a key, hashed): two of them never share a load. `uses`
    names another load that this one is read with; a continued load keeps the one it began with.
    """
    reports = root / connection_id / report
    with storage_errors(reports):
        reports.mkdir(parents=True, exist_ok=True)
        for journal_path in sorted(reports.glob(f"*/{_JOURNAL}")):
            resumed = _resume(journal_path, window, account, now)
            if resumed:
                return resumed
        folder = reports / f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
        folder.mkdir()
        head = {
            "format": 1,
            "load_id": folder.name,
            "connection_id": connection_id,
            "provider": provider,
            "report": report,
            "account": account,
            "uses": uses,
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


def _resume(journal_path: Path, window: Window, account: str, now: datetime) -> OpenLanding | None:
    folder = journal_path.parent
    journal = journal_path.open("ab+")
    try:
        fcntl.flock(journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:  # another process is at work on it
        journal.close()
        return None
    if (folder / _MANIFEST).exists():  # stopped between the manifest and the journal's removal
        journal.close()
        journal_path.unlink()
        return None
    lines = _whole_lines(journal)
    head = lines[0] if lines else None
    young = head and timedelta(0) <= now - datetime.fromisoformat(head["started_at"]) <= RESUMABLE_FOR
    if head and young and (head["window"], head["account"]) == ([str(window.start), str(window.end)], account):
        return OpenLanding(folder, head, journal, [Page(**line) for line in lines[1:]])
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


def read_body(folder: Path, page: Page) -> bytes:
    """A landed body, checked against its checksum."""
    path = folder / page.file
    try:
        body = zstandard.decompress(path.read_bytes(), max_output_size=page.bytes + 1)
    except (OSError, zstandard.ZstdError) as error:
        raise LandingDamaged(f"Cannot read the landed page {path}: {error}. Restore it from a backup.") from error
    if hashlib.sha256(body).hexdigest() != page.sha256:
        raise LandingDamaged(
            f"The landed page {path} is not what arrived (checksum differs). Restore it from a backup."
        )
    return body


def read_landing(folder: Path) -> Landing:
    """A complete load by its folder. Raises FileNotFoundError where there is none, LandingDamaged for a bad one."""
    content = (folder / _MANIFEST).read_bytes()
    try:
        return _as_landing(folder, json.loads(content))
    except (ValueError, KeyError, TypeError) as error:
        raise LandingDamaged(
            f"The manifest {folder / _MANIFEST} cannot be read ({type(error).__name__}). Restore it from a backup."
        ) from error


def _as_landing(folder: Path, raw: dict[str, Any]) -> Landing:
    return Landing(
        raw["load_id"],
        raw["connection_id"],
        raw["provider"],
        raw["report"],
        Window(*map(date.fromisoformat, raw["window"])),
        None if raw["days"] is None else tuple(map(date.fromisoformat, raw["days"])),
        datetime.fromisoformat(raw["started_at"]),
        datetime.fromisoformat(raw["finished_at"]),
        tuple(Page(**page) for page in raw["pages"]),
        folder,
    )


def complete_landings(root: Path, provider: str, report: str, *, without: Collection[str] = ()) -> Iterator[Landing]:
    """Complete loads of a report over all connections, in the order they began; `without` names loads to leave out."""
    folders = (path.parent for path in root.glob(f"*/{report}/*/{_MANIFEST}"))
    found = [read_landing(folder) for folder in folders if folder.name not in without]
    yield from sorted(
        (landing for landing in found if landing.provider == provider),
        key=lambda landing: (landing.started_at, landing.load_id),
    )


def newest_landing(root: Path, connection_id: str, report: str) -> Landing | None:
    """The complete load of a report that began last. Folders begin with the instant, so their order is time's."""
    manifests = sorted((root / connection_id / report).glob(f"*/{_MANIFEST}"))
    return read_landing(manifests[-1].parent) if manifests else None
