"""Bars of amounts by day, stacked, as numbers a template draws: inline SVG, no script, the same bytes again.

All positions are whole units of the drawing, so that no fraction of one depends on a library's way to print it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from markupsafe import Markup

WIDTH, HEIGHT = 960, 300
_LEFT, _TOP, _BOTTOM = 96, 16, 40
_ROOM = HEIGHT - _TOP - _BOTTOM
_TICKS = 4


@dataclass(frozen=True)
class Piece:
    """A part of a day's bar. `series` names its colour, `label` says what it is; an estimate is drawn hatched."""

    series: str
    label: str
    amount_usd: Decimal
    is_estimate: bool = False


@dataclass(frozen=True)
class Column:
    """A day; None for `pieces` where nothing is known about it, which is not nothing spent."""

    usage_date: date
    pieces: Sequence[Piece] | None


@dataclass(frozen=True)
class Bar:
    x: int
    y: int
    width: int
    height: int
    usage_date: date
    piece: Piece

    @property
    def place(self) -> Markup:
        """Where it stands, as attributes: numbers only, and one text instead of four in each of thousands of pages."""
        return Markup(f'x="{self.x}" y="{self.y}" width="{self.width}" height="{self.height}"')  # noqa: S704


@dataclass(frozen=True)
class Tick:
    y: int
    amount_usd: Decimal


@dataclass(frozen=True)
class Label:
    x: int
    usage_date: date


@dataclass(frozen=True)
class Gap:
    x: int
    width: int
    usage_date: date


@dataclass(frozen=True)
class Chart:
    """`line_y` is where the budget of a day lies, None for none."""

    width: int
    height: int
    left: int
    bars: Sequence[Bar]
    gaps: Sequence[Gap]
    ticks: Sequence[Tick]
    labels: Sequence[Label]
    zero_y: int
    line_y: int | None

    @property
    def has_estimates(self) -> bool:
        return any(bar.piece.is_estimate for bar in self.bars)

    @property
    def series(self) -> list[tuple[str, str]]:
        """Series and label of what is drawn, each once."""
        found = {bar.piece.series: bar.piece.label for bar in self.bars}
        return sorted(found.items())


def daily_chart(columns: Sequence[Column], line_usd: Decimal | None = None) -> Chart | None:
    """The chart of some days, with a line at `line_usd` a day; None where there is no amount to draw.

    What is negative, as a provider's credit, hangs below zero.
    """
    reaches = [_reach(column) for column in columns]
    highest = max((above for above, _ in reaches), default=Decimal(0))
    lowest = max((below for _, below in reaches), default=Decimal(0))
    if not highest and not lowest:
        return None
    top = max(highest, line_usd or Decimal(0))
    step = _step(top + lowest)
    upper, lower = _steps_up_to(top, step) * step, _steps_up_to(lowest, step) * step

    def y_of(amount: Decimal) -> int:
        return _TOP + int((upper - amount) * _ROOM / (upper + lower))

    pitch = (WIDTH - _LEFT) // len(columns)
    bars, gaps = [], []
    for place, column in enumerate(columns):
        x, width = _LEFT + place * pitch + pitch // 8, pitch - 2 * (pitch // 8)
        if column.pieces is None:
            gaps.append(Gap(x, width, column.usage_date))
            continue
        ends = {1: Decimal(0), -1: Decimal(0)}
        for piece in column.pieces:
            if piece.amount_usd:
                sign = 1 if piece.amount_usd > 0 else -1
                start, ends[sign] = ends[sign], ends[sign] + piece.amount_usd
                y, other = sorted((y_of(start), y_of(ends[sign])))
                bars.append(Bar(x, y, width, other - y, column.usage_date, piece))
    count = int((upper + lower) / step)
    return Chart(
        WIDTH,
        HEIGHT,
        _LEFT,
        bars,
        gaps,
        [Tick(y_of(upper - place * step), upper - place * step) for place in range(count + 1)],
        [Label(_LEFT + place * pitch + pitch // 2, columns[place].usage_date) for place in range(0, len(columns), 7)],
        y_of(Decimal(0)),
        None if line_usd is None else y_of(line_usd),
    )


def _reach(column: Column) -> tuple[Decimal, Decimal]:
    """How far its bars go above zero, and below."""
    above = below = Decimal(0)
    for piece in column.pieces or ():
        if piece.amount_usd > 0:
            above += piece.amount_usd
        else:
            below -= piece.amount_usd
    return above, below


def _step(span: Decimal) -> Decimal:
    """The least of 1, 2 and 5 times a power of ten that reaches the span in so many ticks."""
    power = Decimal(1).scaleb(span.adjusted() - 1)
    return next(step for factor in (1, 2, 5, 10, 20, 50, 100) if (step := factor * power) * _TICKS >= span)


def _steps_up_to(amount: Decimal, step: Decimal) -> int:
    return -int(-amount // step) if amount % step == 0 else int(amount // step) + 1
