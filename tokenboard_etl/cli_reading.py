"""`tokenboard summary`, `trend` and `breakdown`: one tenant's figures from the published file."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tokenboard_etl.errors import WrongUse
from tokenboard_etl.money import format_minor, format_usd
from tokenboard_etl.periods import FIRST_DAY, Window, parse_day, utc_day
from tokenboard_etl.settings import load_settings
from tokenboard_etl.terminal import out, plain, show_json, show_table, table_of

if TYPE_CHECKING:
    from tokenboard_etl.reading.tenant_values import Amounts, Budget, Day, Summary

TenantId = Annotated[str, typer.Argument(metavar="TENANT_ID", help="A tenant, or unallocated.")]
AsJson = Annotated[bool, typer.Option("--json", help="For programs; amounts are exact text.")]
WhichMonth = Annotated[str | None, typer.Option(metavar="YYYY-MM", help="By default the newest with figures.")]

AMOUNTS = ("cost", "billed", "margin")
ESTIMATED = "estimated"
_UNKNOWN = "unknown"
_ROOM_FOR_BARS = 110
_LONG_ID = 12


def summary(tenant_id: TenantId, month: WhichMonth = None, as_json: AsJson = False) -> None:
    """A tenant's month: cost, billed, margin, budget, invoices, and what today has come to so far."""
    from tokenboard_etl.reading.tenant_figures import summary as read

    settings = load_settings()
    found = read(settings.published_path, settings.intraday_path, utc_day(settings.now), tenant_id, month)
    if as_json:
        show_json(found)
        return
    amounts = _headings([each.amounts for each in found.providers])
    table = table_of(f"{_who(found)}, {found.month}", ("provider", "state", *amounts), amounts=amounts)
    for each in found.providers:
        table.add_row(each.provider, each.state or "-", *_amounts(each.amounts, amounts))
    table.add_section()
    table.add_row("all", "", *_amounts(found.total, amounts))
    show_table(table)
    out.print(f"Figures reach to {found.last_day} (UTC).", highlight=False)
    out.print(_about_budget(found.budget), highlight=False)
    for document in found.invoices:
        amount = format_minor(document.total_minor, document.currency)
        kind = document.kind.replace("_", " ")
        out.print(plain(f"{kind} {document.invoice_number}, {document.status}: {amount}"), highlight=False)
    out.print(_about_today(found), highlight=False)


def trend(
    tenant_id: TenantId,
    from_: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="First UTC day; with --to, else the last 30 days.")
    ] = None,
    to: Annotated[str | None, typer.Option("--to", metavar="DATE", help="Last UTC day.")] = None,
    as_json: AsJson = False,
) -> None:
    """A tenant's days, one by one."""
    from tokenboard_etl.reading.tenant_figures import trend as read

    settings = load_settings()
    days = read(settings.published_path, tenant_id, _window(from_, to, utc_day(settings.now)))
    if as_json:
        show_json(days)
        return
    providers = sorted(
        {name for day in days for name, billed in day.billed_usd_by_provider.items() if billed is not None}
    )
    has_room = out.is_terminal and out.width >= _ROOM_FOR_BARS
    amounts = _headings([day.amounts for day in days if day.amounts])
    headings = ("day (UTC)", *providers, *amounts, "state", *(["billed "] if has_room else []))
    table = table_of(plain(tenant_id), headings, amounts=(*providers, *amounts))
    highest = max((day.amounts.billed_usd for day in days if day.amounts), default=Decimal(0))
    for day in days:
        table.add_row(
            str(day.usage_date),
            *(_amount(_of_provider(day, provider)) for provider in providers),
            *(_amounts(day.amounts, amounts) if day.amounts else [_UNKNOWN] * len(amounts)),
            day.state,
            *([_bar(day, highest)] if has_room else []),
        )
    show_table(table)


def breakdown(
    tenant_id: TenantId,
    by: Annotated[
        Literal["project", "line_item", "model", "api_key", "category", "job"], typer.Option(help="Parts of what kind.")
    ],
    month: WhichMonth = None,
    as_json: AsJson = False,
) -> None:
    """A tenant's month in parts, the largest first."""
    from tokenboard_etl.reading.tenant_figures import breakdown as read

    found = read(load_settings().published_path, tenant_id, month, by)
    if as_json:
        show_json(found)
        return
    heading = by.replace("_", " ")
    has_provider = any(part.provider for part in found.parts)
    has_name = any(part.name for part in found.parts)
    headings = (*(["provider"] if has_provider else []), heading, *(["name"] if has_name else []))
    amounts = _headings([part.amounts for part in found.parts])
    title = f"{plain(tenant_id)}, {found.month} by {heading}"
    table = table_of(title, (*headings, *amounts), amounts=amounts, names=headings[-1:])
    for part in found.parts:
        key = _short(part.key) if part.name else part.key
        texts = (*([part.provider] if has_provider else []), key or "-", *([part.name] if has_name else []))
        table.add_row(*map(plain, texts), *_amounts(part.amounts, amounts))
    table.add_section()
    table.add_row("all", *[""] * (len(headings) - 1), *_amounts(found.total, amounts))
    show_table(table)


def _window(first: str | None, last: str | None, today: date) -> Window | None:
    if first is None and last is None:
        return None
    if first is None or last is None:
        raise WrongUse("Give both --from and --to, or neither.")
    start, end = parse_day(first), parse_day(last)
    if start > end:
        raise WrongUse(f"--from {start} is after --to {end}.")
    if start < FIRST_DAY:
        raise WrongUse(f"--from {start} is before {FIRST_DAY}, where this system begins.")
    if end > today:
        raise WrongUse(f"--to {end} has not begun in UTC; today is {today}.")
    return Window.of_days(start, end)


def _headings(found: list[Amounts]) -> tuple[str, ...]:
    """Estimates have a column where there are any."""
    return (*AMOUNTS, ESTIMATED) if any(each.estimated_billed_usd for each in found) else AMOUNTS


def _amounts(amounts: Amounts, headings: tuple[str, ...]) -> list[str]:
    figures = (amounts.cost_usd, amounts.billed_usd, amounts.margin_usd, amounts.estimated_billed_usd)
    return [format_usd(each) for each in figures[: len(headings)]]


def _amount(amount_usd: Decimal | None) -> str:
    return _UNKNOWN if amount_usd is None else format_usd(amount_usd)


def _of_provider(day: Day, provider: str) -> Decimal | None:
    return day.billed_usd_by_provider.get(provider, Decimal(0)) if day.amounts else None


def _short(key: str | None) -> str | None:
    """An id that stands beside its name: on a terminal its beginning is enough."""
    return f"{key[:_LONG_ID]}…" if key and out.is_terminal and len(key) > _LONG_ID else key


def _bar(day: Day, highest_usd: Decimal) -> str:
    """Up to 20 blocks, for the eye alone."""
    if not day.amounts or highest_usd <= 0 or day.amounts.billed_usd <= 0:
        return ""
    return "█" * max(1, int(day.amounts.billed_usd * 20 / highest_usd))


def _who(found: Summary) -> str:
    return plain(found.tenant_id if found.name is None else f"{found.name} ({found.tenant_id}, {found.status})")


def _about_budget(budget: Budget | None) -> str:
    if budget is None:
        return "No budget is set."
    reached = "" if budget.threshold_reached is None else f", {budget.threshold_reached} % reached"
    return (
        f"Budget {format_usd(budget.budget_usd)}: {format_usd(budget.spent_usd)} spent{reached}, "
        f"{format_usd(budget.remaining_usd)} remaining, {format_usd(budget.forecast_usd)} forecast."
    )


def _about_today(found: Summary) -> str:
    today = found.today
    if today.as_of is None:
        return f"Today ({today.usage_date} UTC): unknown; the job intraday has not read it."
    if today.estimated_billed_usd is None:
        return f"Today ({today.usage_date} UTC): unknown; part of it has no price."
    amount = format_usd(today.estimated_billed_usd)
    return f"Today ({today.usage_date} UTC): {amount} by {today.as_of:%H:%M} UTC, an estimate."
