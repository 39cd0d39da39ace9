"""Patterns of rules: `*` is any text, `?` any one character, everything else stands for itself.

The same pattern is read in three ways: here by people's rules, by SQL as LIKE, and against another pattern, to find
out whether some text matches both.
"""

from __future__ import annotations

LIKE_ESCAPE = "!"
"""What marks a literal `%`, `_` or `!` in LIKE; a backslash would be an escape of string literals in some engines."""


def is_glob(pattern: str) -> bool:
    """Whether it is more than one exact text."""
    return "*" in pattern or "?" in pattern


def to_like(pattern: str) -> str:
    """The pattern for SQL: `text LIKE pattern ESCAPE '!'`."""
    escaped = "".join(LIKE_ESCAPE + char if char in f"%_{LIKE_ESCAPE}" else char for char in pattern)
    return escaped.replace("*", "%").replace("?", "_")


def matches(pattern: str, text: str) -> bool:
    """Whether the whole text matches; upper and lower case differ."""
    return _meet(pattern, text, text_is_pattern=False)


def intersect(one: str, other: str) -> bool:
    """Whether there is a text that matches both patterns."""
    return _meet(one, other, text_is_pattern=True)


def _meet(one: str, other: str, *, text_is_pattern: bool) -> bool:
    """Walks both at once: a state is a position in each, a star may stand still while the other goes on."""
    seen = {(0, 0)}
    waiting = [(0, 0)]
    while waiting:
        i, j = waiting.pop()
        a, b = one[i : i + 1], other[j : j + 1]
        if not a and not b:
            return True
        steps = []
        if a == "*":
            steps += [(i + 1, j), (i, j + 1)]
        if text_is_pattern and b == "*":
            steps += [(i, j + 1), (i + 1, j)]
        if not steps and a and b and (a in ("?", b) or (text_is_pattern and b == "?")):
            steps = [(i + 1, j + 1)]
        new = {step for step in steps if step[0] <= len(one) and step[1] <= len(other)} - seen
        seen |= new
        waiting += new
    return False
