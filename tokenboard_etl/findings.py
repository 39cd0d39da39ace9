"""What `tokenboard doctor` tells."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    """`error` makes `tokenboard doctor` exit with 1."""

    error = 0
    warning = 1
    fine = 2


@dataclass(frozen=True)
class Finding:
    """`about` is a connection, a report, a tenant or a setting; `what` says how things stand and what to do."""

    level: Level
    about: str
    what: str
