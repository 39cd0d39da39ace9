"""The operator's overview as a page: first what needs somebody, then the figures behind it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal

from tokenboard_etl.billing.invoice import PROVIDER_NAMES
from tokenboard_etl.money import exact_sum, format_usd
from tokenboard_etl.periods import ONE_DAY
from tokenboard_etl.reading.overview_figures import CREDIT_DAYS, Credit, Overview, Source, SpentDay
from tokenboard_etl.rendering.charts import Chart, Column, Piece, daily_chart
from tokenboard_etl.rendering.pages import render_page

TEMPLATE = "overview/v1.html"

TODAY, THIS_WEEK = "bad", "warn"
"""How soon somebody has to look; the names are those of the page's colours."""

HORIZON_DAYS = 7
"""As `tokenboard doctor` has it: with less time than this left, a day that was never read is an error."""

_LOW_CREDIT_DAYS = (7, 30)
_NAMED = 5


def render_overview(figures: Overview, today: date) -> bytes:
    """The page as of a day; the same figures give the same bytes."""
    unallocated_usd = exact_sum(each.cost_usd for each in figures.unallocated)
    cost_usd = exact_sum([unallocated_usd, *(each.cost_usd for each in figures.tenants)])
    billed_usd = exact_sum(each.billed_usd for each in figures.tenants)
    margin_usd = exact_sum([billed_usd, cost_usd.copy_negate()])
    return render_page(
        TEMPLATE,
        figures=figures,
        today=today,
        unallocated_usd=unallocated_usd,
        cost_usd=cost_usd,
        billed_usd=billed_usd,
        margin_usd=margin_usd,
        chart=_chart(figures),
        alarms=list(alarms(figures, today)),
        CREDIT_DAYS=CREDIT_DAYS,
        lasting=lambda credit: _credit_level(credit) or "",
        is_stale=lambda source: _is_stale(source, today),
        is_urgent=lambda source: _is_urgent(source, today),
    )


def alarms(figures: Overview, today: date) -> Iterator[tuple[str, str]]:
    """What needs somebody, and how soon; the most pressing first."""
    found = [*_of_sources(figures.sources, today), *_of_tenants(figures), *_of_credits(figures.credits)]
    if figures.unallocated:
        found.append((THIS_WEEK, f"{_accounts(len(figures.unallocated))} with spend nobody is bound to"))
    return iter(sorted(found, key=lambda alarm: alarm[0] != TODAY))


def _of_sources(sources: Sequence[Source], today: date) -> Iterator[tuple[str, str]]:
    for source in sources:
        if not source.gates_closing:
            continue
        about = f"{source.report} of {source.connection_id}"
        if _is_stale(source, today):
            yield TODAY, f"{about}: read up to {source.read_until or 'no day at all'}, yesterday is missing"
        if source.fetch_before and _is_urgent(source, today):
            yield TODAY, f"{about}: missing days are lost after {source.fetch_before}; run tokenboard nightly for them"
        if source.lost_days:
            yield THIS_WEEK, f"{about}: {source.lost_days} day(s) can no longer be fetched"


def _of_tenants(figures: Overview) -> Iterator[tuple[str, str]]:
    spent = [each.tenant_id for each in figures.budgets if each.remaining_usd <= 0]
    near = [each.tenant_id for each in figures.budgets if each.remaining_usd > 0]
    low = [each.tenant_id for each in figures.tenants if each.is_low]
    if spent:
        yield TODAY, f"budget spent: {_names(spent)}"
    if low:
        yield TODAY, f"margin too low: {_names(low)}"
    if near:
        yield THIS_WEEK, f"threshold of the budget reached, or will be at the month's end: {_names(near)}"


def _of_credits(credit: Sequence[Credit]) -> Iterator[tuple[str, str]]:
    for each in credit:
        level = _credit_level(each)
        if level and each.days_left is not None:
            left = format_usd(each.available_usd or Decimal(0))
            yield level, f"credit of {each.connection_id}: {left} left, {each.days_left} day(s) at the present pace"
        elif level:
            why = "used up" if each.unavailable_reason is None else f"not known: {each.unavailable_reason}"
            yield level, f"credit of {each.connection_id} is {why}"


def _credit_level(credit: Credit) -> str | None:
    if credit.unavailable_reason is not None:
        return THIS_WEEK
    if credit.available_usd is not None and credit.available_usd <= 0:
        return TODAY
    soon, later = _LOW_CREDIT_DAYS
    if credit.days_left is None or credit.days_left >= later:
        return None
    return TODAY if credit.days_left < soon else THIS_WEEK


def _is_stale(source: Source, today: date) -> bool:
    return source.read_until is None or source.read_until < today - ONE_DAY


def _is_urgent(source: Source, today: date) -> bool:
    return source.fetch_before is not None and source.fetch_before - today < HORIZON_DAYS * ONE_DAY


def _names(tenant_ids: Sequence[str]) -> str:
    more = len(tenant_ids) - _NAMED
    return ", ".join(tenant_ids[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _accounts(count: int) -> str:
    return f"{count} account{'' if count == 1 else 's'}"


def _chart(figures: Overview) -> Chart | None:
    by_day: dict[date, list[Piece]] = {day: [] for day in figures.window.days()}
    for spent in figures.days:
        by_day[spent.usage_date] += _pieces(spent)
    columns = [Column(day, sorted(pieces, key=_place)) for day, pieces in by_day.items()]
    return daily_chart(columns)


def _pieces(spent: SpentDay) -> list[Piece]:
    name = PROVIDER_NAMES[spent.provider]
    return [
        Piece(spent.provider, name, spent.tenants_usd),
        Piece(spent.provider, name, spent.estimated_usd, is_estimate=True),
        Piece("unallocated", "unallocated", spent.unallocated_usd),
    ]


def _place(piece: Piece) -> tuple[bool, str, bool]:
    return piece.series == "unallocated", piece.series, piece.is_estimate
