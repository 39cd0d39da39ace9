"""What the commands write to: tables for people, aligned text for pipes, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table

from tokenboard_etl.redaction import one_line

out = Console(soft_wrap=True, emoji=False)
err = Console(stderr=True, soft_wrap=True, emoji=False)

_WIDEST = 10_000
_NARROWEST = 10
"""Columns that may be broken into lines stay that wide: a name of one letter a line is none."""


def plain(text: str | None) -> str:
    """Text from outside, without meaning to the terminal."""
    return escape(one_line(text or ""))


def table_of(
    title: str | None, headings: Iterable[str], *, amounts: Iterable[str] = (), names: Iterable[str] = ()
) -> Table:
    """A table whose columns named in `amounts` stand to the right; only those in `names` may be broken into lines."""
    right, folding = set(amounts), set(names)
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in headings:
        justify: Literal["left", "right"] = "right" if heading in right else "left"
        table.add_column(heading, justify=justify, no_wrap=heading not in folding, overflow="fold")
    return table


def show_table(table: Table) -> None:
    """The table on a terminal that has room for it; elsewhere one line a row, aligned, without frames, nothing cut."""
    for column in table.columns:
        lines = "\n".join(map(str, (column.header, *column.cells))).splitlines()
        widest = max(map(cell_len, lines), default=0)  # an amount is never cut, however narrow the terminal
        column.min_width = column.max_width = widest if column.no_wrap else min(widest, _NARROWEST)
    narrowest = Measurement.get(out, out.options.update(max_width=_WIDEST), table).minimum
    for column in table.columns:
        column.max_width = None
    if out.is_terminal and narrowest <= out.width:
        out.print(table, highlight=False)
        return
    table.box, table.padding = None, (0, 2, 0, 0)
    wide = Console(width=_WIDEST, soft_wrap=True, emoji=False)
    with wide.capture() as text:
        wide.print(table, highlight=False)
    for line in text.get().splitlines():
        out.out(line.rstrip(), highlight=False)


def show_json(value: object) -> None:
    """One JSON document: amounts as exact text, dates in ISO form, everything beyond ASCII escaped."""
    out.out(json.dumps(_simple(value), indent=2), highlight=False)


def _simple(value: object) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        if type(value).__str__ is not object.__str__:  # it has a form of its own, as a month has
            return str(value)
        return {each.name: _simple(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, dict):
        return {key: _simple(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_simple(each) for each in value]
    if isinstance(value, Decimal):
        return format(value, "f")
    return value.isoformat() if isinstance(value, (date, datetime)) else value
