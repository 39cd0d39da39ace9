"""Where two documents differ, in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from itertools import zip_longest

from tokenboard_etl.billing.invoice import Invoice, Line
from tokenboard_etl.redaction import one_line

_APART = frozenset({"lines"})


def differences(stored: Invoice, derived: Invoice) -> Iterator[str]:
    """What a stored document says otherwise than the derived one, line by line."""
    for one, other in zip_longest(stored.lines, derived.lines):
        yield from _of_lines(stored.number, one, other)
    for field in fields(Invoice):
        one, other = getattr(stored, field.name), getattr(derived, field.name)
        if field.name not in _APART and one != other:
            yield f"{stored.number} is stored with {field.name} {_short(one)}, and {_short(other)} comes out."


def _of_lines(number: str, stored: Line | None, derived: Line | None) -> Iterator[str]:
    if stored is None or derived is None:
        if stored is not None:
            yield f"Line {stored.line_no} of {number} ({_short(stored.description)}) is stored and does not come out."
        if derived is not None:
            yield f"Line {derived.line_no} of {number} ({_short(derived.description)}) comes out and is not stored."
        return
    for field in fields(Line):
        one, other = getattr(stored, field.name), getattr(derived, field.name)
        if one != other:
            yield (
                f"Line {stored.line_no} of {number} is stored with {field.name} {_short(one)}, "
                f"and {_short(other)} comes out."
            )


def _short(value: object) -> str:
    """Fit for a line on a terminal: names are from outside."""
    text = one_line(str(value))
    return text if len(text) <= 80 else f"{text[:77]}..."
