"""Where two documents differ, in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from itertools import zip_longest

from tokenboard_etl.billing.invoice import AppendixRow, Invoice, Line
from tokenboard_etl.redaction import one_line

_APART = frozenset({"lines", "appendix"})


def differences(stored: Invoice, derived: Invoice) -> Iterator[str]:
    """What a stored document says otherwise than the derived one, line by line, and row by row of its appendix."""
    for line, derived_line in zip_longest(stored.lines, derived.lines):
        yield from _of_rows(stored.number, line, derived_line)
    for row, derived_row in zip_longest(stored.appendix, derived.appendix):
        yield from _of_rows(stored.number, row, derived_row)
    for field in fields(Invoice):
        one, other = getattr(stored, field.name), getattr(derived, field.name)
        if field.name not in _APART and one != other:
            yield f"{stored.number} is stored with {field.name} {_short(one)}, and {_short(other)} comes out."


def _of_rows(number: str, stored: Line | AppendixRow | None, derived: Line | AppendixRow | None) -> Iterator[str]:
    if stored is None or derived is None:
        if stored is not None:
            yield f"{_called(stored, number)} ({_about(stored)}) is stored and does not come out."
        if derived is not None:
            yield f"{_called(derived, number)} ({_about(derived)}) comes out and is not stored."
        return
    for field in fields(stored):
        one, other = getattr(stored, field.name), getattr(derived, field.name)
        if one != other:
            yield (
                f"{_called(stored, number)} is stored with {field.name} {_short(one)}, and {_short(other)} comes out."
            )


def _called(row: Line | AppendixRow, number: str) -> str:
    if isinstance(row, Line):
        return f"Line {row.line_no} of {number}"
    return f"Row {row.row_no} of the appendix of {number}"


def _about(row: Line | AppendixRow) -> str:
    return _short(row.description if isinstance(row, Line) else f"{row.part} {row.key}".strip())


def _short(value: object) -> str:
    """Fit for a line on a terminal: names are from outside."""
    text = one_line(str(value))
    return text if len(text) <= 80 else f"{text[:77]}..."
