"""Remembers requests, so that a test can say how often a client asked and for what."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field

_RECENT = 500


@dataclass(slots=True)
class Recorder:
    """Counts per method and path, without query strings; the latest requests with them. Never headers."""

    counts: Counter[str] = field(default_factory=Counter)
    recent: deque[str] = field(default_factory=lambda: deque(maxlen=_RECENT))

    def note(self, method: str, path: str, query: str) -> None:
        self.counts[f"{method} {path}"] += 1
        self.recent.append(f"{method} {path}?{query}" if query else f"{method} {path}")

    def matching(self, part: str) -> int:
        """Requests whose "METHOD path" contains a text."""
        return sum(count for line, count in self.counts.items() if part in line)
