"""The table a campaign ends with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Line(NamedTuple):
    """One campaign."""

    campaign: str
    trials: int
    failures: int
    disturbances: str


Report = list[Line]


def as_table(lines: Sequence[Line]) -> Iterator[str]:
    """Lines of text, numbers to the right."""
    total = Line("all", sum(line.trials for line in lines), sum(line.failures for line in lines), "")
    rows = [Line._fields, *(tuple(map(str, line)) for line in (*lines, total))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for campaign, trials, failures, disturbances in rows:
        yield f"{campaign:{widths[0]}}  {trials:>{widths[1]}}  {failures:>{widths[2]}}  {disturbances}".rstrip()
