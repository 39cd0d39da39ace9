"""The door through which text leaves this system: errors, logs, messages quoted from a provider.

Keys are blotted out, and what a provider says cannot speak to a terminal.
"""

from __future__ import annotations

import re

_KEY = re.compile(r"\b(sk-(?:admin-|proj-|svcacct-|or-v1-)?+|sess-)[A-Za-z0-9_-]{6,}")
"""A provider's key: a known beginning, which says its kind and is kept, and the secret after it."""

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Moves the cursor, changes colours or the direction of writing. Line ends and tabs are ours."""

_configured: set[str] = set()


def protect(secret: str) -> None:
    """From now on this very text is blotted out too, whatever it looks like: a proxy's token is no provider's key."""
    _configured.add(secret)


def one_line(text: str) -> str:
    """Text from outside as part of a sentence: without line ends, and nothing that speaks to a terminal."""
    return "".join(each if each.isprintable() else "?" for each in text)


def redact(text: str) -> str:
    """The text without any configured key or control character, and with the secret part of what looks like a key
    replaced.
    """
    for secret in _configured:
        text = text.replace(secret, "[redacted]")
    return _CONTROL.sub("?", _KEY.sub(r"\1[redacted]", text))
