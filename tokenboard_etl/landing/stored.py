"""A load that is complete: its manifest, its bodies, and the order loads began in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import zstandard

from tokenboard_etl.errors import LandingDamaged
from tokenboard_etl.periods import Window

MANIFEST = "manifest.json"

RESUMABLE_FOR = timedelta(hours=6)
"""An older interrupted load is begun anew: its days have moved on, and so have the provider's page tokens."""


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
    """A complete load. `days` are the days the provider confirmed; None for a snapshot of now, which has none.

    `account` tells provider accounts apart, `run` names the run it was made in. `unavailable` says why the provider
    gave nothing: then there are no figures, which is not the same as zero. `manifest_sha256` is that of the manifest's
    bytes.
    """

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
    manifest_sha256: str
    account: str = ""
    run: str = ""
    unavailable: str | None = None

    @property
    def sha256(self) -> str:
        """One checksum for all bodies, whatever order they arrived in."""
        return hashlib.sha256("".join(sorted(page.sha256 for page in self.pages)).encode()).hexdigest()

    @property
    def facts(self) -> dict[str, object]:
        """What a log record says of it (logs.FIELDS)."""
        return {
            "provider": self.provider,
            "connection": self.connection_id,
            "report": self.report,
            "window": str(self.window),
            "load_id": self.load_id,
            "pages": len(self.pages),
            "bytes": sum(page.bytes for page in self.pages),
            "seconds": (self.finished_at - self.started_at).total_seconds(),
        }

    def verify(self) -> None:
        """Raises LandingDamaged unless every body has the checksum it arrived with."""
        for page in self.pages:
            read_body(self.folder, page)


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
    content = (folder / MANIFEST).read_bytes()
    try:
        return _as_landing(folder, json.loads(content), hashlib.sha256(content).hexdigest())
    except (ValueError, KeyError, TypeError) as error:
        raise LandingDamaged(
            f"The manifest {folder / MANIFEST} cannot be read ({type(error).__name__}). Restore it from a backup."
        ) from error


def _as_landing(folder: Path, raw: dict[str, Any], manifest_sha256: str) -> Landing:
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
        manifest_sha256,
        raw["account"],
        raw.get("run", ""),
        raw.get("unavailable"),
    )


def complete_landings(root: Path, provider: str, report: str, *, without: Collection[str] = ()) -> Iterator[Landing]:
    """Complete loads of a report over all connections, in the order they began; `without` names loads to leave out."""
    folders = (path.parent for path in root.glob(f"*/{report}/*/{MANIFEST}"))
    found = [read_landing(folder) for folder in folders if folder.name not in without]
    yield from sorted(
        (landing for landing in found if landing.provider == provider),
        key=lambda landing: (landing.started_at, landing.load_id),
    )


def newest_landing(
    root: Path, connection_id: str, report: str, *, finished_by: datetime | None = None
) -> Landing | None:
    """The complete load of a report that began last, of all or of those that were whole at an instant.

    Folders begin with the instant, so their order is time's.
    """
    for manifest in sorted((root / connection_id / report).glob(f"*/{MANIFEST}"), reverse=True):
        landing = read_landing(manifest.parent)
        if finished_by is None or landing.finished_at <= finished_by:
            return landing
    return None


def landing_of_runs(
    root: Path, connection_id: str, report: str, window: Window, account: str, runs: Collection[str], now: datetime
) -> Landing | None:
    """The newest complete load of exactly this window and account that one of `runs` made, if it is young enough."""
    if not runs:
        return None
    for manifest in sorted((root / connection_id / report).glob(f"*/{MANIFEST}"), reverse=True):
        landing = read_landing(manifest.parent)
        if not timedelta(0) <= now - landing.started_at <= RESUMABLE_FOR:
            return None
        if landing.run in runs and (landing.window, landing.account) == (window, account):
            return landing
    return None
