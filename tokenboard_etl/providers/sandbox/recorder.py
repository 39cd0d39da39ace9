"""Remembers requests, so that a test can say how often a client asked and for what."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

_RECENT = 500


class Asked(NamedTuple):
    """A whole request but for its headers. `digest` is empty without a body."""

    method: str
    path: str
    query: str
    digest: str


@dataclass(slots=True)
class Recorder:
    """Counts per method and path, and per whole request; the latest requests with their queries. Never headers."""

    counts: Counter[str] = field(default_factory=Counter)
    whole: Counter[Asked] = field(default_factory=Counter)
    recent: deque[str] = field(default_factory=lambda: deque(maxlen=_RECENT))

    def note(self, method: str, path: str, query: str, body: bytes = b"") -> None:
        self.counts[f"{method} {path}"] += 1
        self.whole[Asked(method, path, query, digest_of(body))] += 1
        self.recent.append(f"{method} {path}?{query}" if query else f"{method} {path}")

    def matching(self, part: str) -> int:
        """Requests whose "METHOD path" contains a text."""
        return sum(count for line, count in self.counts.items() if part in line)


def digest_of(body: bytes) -> str:
    """SHA-256 of a body; the same for JSON that only names its fields in another order. Empty for no body."""
    if not body:
        return ""
    with suppress(ValueError):  # what is no JSON is told apart by its bytes
        body = json.dumps(json.loads(body, parse_float=str), sort_keys=True).encode()
    return hashlib.sha256(body).hexdigest()
