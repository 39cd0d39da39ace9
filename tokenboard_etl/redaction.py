"""Blots out keys wherever text leaves this system: errors, logs, messages quoted from a provider."""

from __future__ import annotations

import re

_KEY = re.compile(r"\b(sk-(?:admin-|proj-|svcacct-|or-v1-)?+|sess-)[A-Za-z0-9_-]{6,}")
"""A provider's key: a known beginning, which says its kind and is kept, and the secret after it."""

_configured: set[str] = set()


def protect(secret: str) -> None:
    """From now on this very text is blotted out too, whatever it looks like: a proxy's token is no provider's key."""
    _configured.add(secret)


def redact(text: str) -> str:
    """The text without any configured key, and with the secret part of whatever looks like one replaced."""
    for secret in _configured:
        text = text.replace(secret, "[redacted]")
    return _KEY.sub(r"\1[redacted]", text)
