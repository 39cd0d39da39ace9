"""Bars against the amounts they stand for, for any amounts."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tokenboard_etl.rendering.charts import HEIGHT, WIDTH, Column, Piece, daily_chart

FIRST = date(2026, 6, 1)
AMOUNTS = st.decimals(-(10**9), 10**9, places=18)


def columns(days: list[list[Decimal] | None]) -> list[Column]:
    return [
        Column(
            FIRST + timedelta(days=place),
            None if amounts is None else [Piece(f"s{number}", "S", each) for number, each in enumerate(amounts)],
        )
        for place, amounts in enumerate(days)
    ]


@given(st.lists(st.none() | st.lists(AMOUNTS, max_size=4), min_size=1, max_size=62), st.none() | st.decimals(0, 10**9))
def test_bars_are_as_high_as_their_amounts(days: list[list[Decimal] | None], line: Decimal | None) -> None:
    chart = daily_chart(columns(days), line)
    drawn = [amount for amounts in days for amount in amounts or () if amount]
    if chart is None:
        assert not drawn
        return
    assert [bar.piece.amount_usd for bar in chart.bars] == drawn
    assert len(chart.gaps) == days.count(None)
    high, low = chart.ticks[0].amount_usd, chart.ticks[-1].amount_usd
    per_unit = (high - low) / (chart.ticks[-1].y - chart.ticks[0].y)
    for bar in chart.bars:
        assert abs(bar.height - abs(bar.piece.amount_usd) / per_unit) <= 2
        assert chart.left <= bar.x
        assert bar.x + bar.width <= WIDTH
        assert bar.y >= 0
        assert bar.y + bar.height <= HEIGHT
        assert (bar.y + bar.height <= chart.zero_y) is (bar.piece.amount_usd > 0 or bar.y + bar.height == chart.zero_y)
    assert 2 <= len(chart.ticks) <= 8
    if line is not None:
        assert chart.line_y is not None
        assert abs((chart.zero_y - chart.line_y) - line / per_unit) <= 2


def test_a_stack_stands_on_itself_and_a_credit_hangs_below_zero() -> None:
    chart = daily_chart(columns([[Decimal(30), Decimal(10), Decimal(-20)]]))
    assert chart
    first, second, credit = chart.bars
    assert second.y + second.height == first.y
    assert first.y + first.height == chart.zero_y == credit.y
    assert [str(tick.amount_usd) for tick in chart.ticks] == ["40", "20", "0", "-20"]


def test_there_is_no_chart_of_nothing() -> None:
    assert daily_chart(columns([None, [], [Decimal(0)]]), Decimal(5)) is None
