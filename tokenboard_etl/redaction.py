"""Blots out keys wherever text leaves this system: errors, logs, messages quoted from a provider."""

from __future__ import annotations

import re

_KEY = re.compile(r"\b(sk-(?:admin-|proj-|svcacct-|or-v1-)?+|sess-)[A-Za-z0-9_-]{6,}")
"""A provider's key: a known beginning, which says its kind and is kept, and the secret after it."""


def redact(text: str) -> str:
    """The text with every key's secret part replaced."""
    return _KEY.sub(r"\1[redacted]", text)
