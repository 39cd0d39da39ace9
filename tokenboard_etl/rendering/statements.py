"""A tenant's statement as a page: prices alone, and nothing that leads to anybody else's."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from tokenboard_etl.billing.invoice import PROVIDER_NAMES
from tokenboard_etl.money import exact, format_usd
from tokenboard_etl.reading.statement_values import Price, PricedDay, PricedPart, Statement, add_up
from tokenboard_etl.rendering.charts import Chart, Column, Piece, daily_chart
from tokenboard_etl.rendering.pages import render_page

TEMPLATE = "statement/v1.html"

_BREAKDOWNS = (
    ("project", "Project or key"),
    ("line_item", "Line item"),
    ("model", "Model"),
    ("api_key", "API key"),
    ("category", "Category"),
    ("job", "Job"),
)
_HEADINGS = {"project": "project", "line_item": "line item", "model": "model", "api_key": "API key"}
_STATES = {
    "missing": "not read yet",
    "lost": "can no longer be read",
    "provisional": "preliminary",
    "settled": "final",
    "closed": "final",
}


def render_statement(statement: Statement) -> bytes:
    """The page; the same figures give the same bytes."""
    total, providers = statement.total(), statement.providers
    return render_page(
        TEMPLATE,
        statement=statement,
        total=total,
        providers=providers,
        is_over=statement.last_day >= statement.month.window.last,
        chart=_chart(statement),
        limit=_limit(statement),
        breakdowns=[
            (_HEADINGS.get(kind, kind), column, _with_shares(statement.parts[kind], total))
            for kind, column in _BREAKDOWNS
            if statement.parts.get(kind)
        ],
        days=[_row(day, providers) for day in reversed(statement.days)],
        unread=sum(bool(day.not_read) or not day.is_known for day in statement.days),
        STATES=_STATES,
    )


def _row(day: PricedDay, providers: Sequence[str]) -> tuple[PricedDay, list[Decimal | None], Decimal | None, bool]:
    """The day, what each provider came to and all did, None for unknown, and whether any of it is an estimate."""
    amounts = [_of_provider(day, provider) for provider in providers]
    all_of_it = add_up(list(day.prices.values()))
    is_whole = day.is_known and None not in amounts
    return day, amounts, all_of_it.total_usd if is_whole else None, bool(all_of_it.estimated_usd)


def _of_provider(day: PricedDay, provider: str) -> Decimal | None:
    if provider in day.prices:
        return day.prices[provider].total_usd
    return None if provider in day.not_read or not day.is_known else Decimal(0)


def _with_shares(parts: Sequence[PricedPart], total: Price) -> list[tuple[PricedPart, int | None]]:
    """Each part with its whole percent of the month; None where the month is no amount to be shared."""
    of = total.total_usd
    if of <= 0:
        return [(part, None) for part in parts]
    with exact():
        return [(part, min(100, max(0, int(part.price.total_usd * 100 // of)))) for part in parts]


def _chart(statement: Statement) -> Chart | None:
    """Of the whole month, days to come included, so that it keeps its shape as the month goes on."""
    known = {day.usage_date: _pieces(day) if day.is_known else None for day in statement.days}
    columns = [Column(day, known.get(day, ())) for day in statement.month.window.days()]
    return daily_chart(columns, _budget_of_a_day(statement))


def _pieces(day: PricedDay) -> list[Piece]:
    return [
        Piece(provider, PROVIDER_NAMES[provider], amount, is_estimate)
        for provider, price in day.prices.items()
        for amount, is_estimate in ((price.billed_usd, False), (price.estimated_usd, True))
    ]


def _budget_of_a_day(statement: Statement) -> Decimal | None:
    """For the eye, where the line lies: the budget in as many equal parts as the month has days."""
    if statement.budget is None:
        return None
    return statement.budget.budget_usd / len(list(statement.month.window.days()))


def _limit(statement: Statement) -> str | None:
    if statement.budget is None:
        return None
    return f"budget of {format_usd(statement.budget.budget_usd)} spread over the month's days"
