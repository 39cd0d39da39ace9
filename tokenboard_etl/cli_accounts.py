"""`tokenboard usage`, `unallocated` and `tenants adopt`: what accounts have used, whose they are, whose they become."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

import typer

from tokenboard_etl.errors import WrongUse
from tokenboard_etl.logs import show_warnings
from tokenboard_etl.money import format_usd
from tokenboard_etl.periods import parse_day
from tokenboard_etl.settings import load_settings
from tokenboard_etl.terminal import err, out, plain, show_json, show_table, table_of


def unallocated(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """List accounts nobody is bound to, with the spend they carry, oldest first."""
    from tokenboard_etl.reading.unallocated import unallocated as read

    found = read(load_settings().published_path)
    if as_json:
        show_json(found)
        return
    if not found:
        out.print("All spend belongs to a tenant.")
        return
    headings = ("provider", "connection", "account", "name", "status", "since", "until", "cost")
    table = table_of(None, headings, amounts=("cost",), names=("account", "name"))
    for each in found:
        account = each.account_id or "(no account)"
        days = (str(each.first_day), str(each.last_day), format_usd(each.cost_usd))
        table.add_row(*map(plain, (each.provider, each.connection_id, account, each.name, each.status, *days)))
    show_table(table)


def tenants_adopt(
    tenant: Annotated[str, typer.Argument(metavar="TENANT_ID")],
    provider: Annotated[Literal["openai", "openrouter"], typer.Option(help="Whose account it is.")],
    account: Annotated[str, typer.Option(metavar="ID", help="Project id, API key id, or hash of an OpenRouter key.")],
    from_: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="First UTC day; else all that is not invoiced.")
    ] = None,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Also one that is another tenant's: that binding ends on the day.")
    ] = False,
) -> None:
    """Bind an account that exists at a provider to a tenant; months that are open are rated anew."""
    from tokenboard_etl.closing import republish
    from tokenboard_etl.tenants.adoption import adopt
    from tokenboard_etl.warehouse.connection import open_warehouse

    settings = load_settings()
    first = parse_day(from_) if from_ is not None else None
    with show_warnings(err), open_warehouse(settings.warehouse_path) as warehouse:
        bound = adopt(warehouse, tenant, provider, account, first, settings.now, take_over=take_over)
        republish(warehouse, settings)
    out.print(f"{bound.kind} {plain(account)} is {tenant}'s from {bound.valid_from}", highlight=False)


def usage(
    tenant: Annotated[str | None, typer.Argument(metavar="[TENANT_ID]")] = None,
    key_from_stdin: Annotated[
        bool, typer.Option("--key-from-stdin", help="Of one OpenRouter key, which is read from stdin.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs; amounts are exact text.")] = False,
) -> None:
    """Ask the providers what a tenant has used: limit, spent, remaining, today, week, month; beside our figures."""
    from tokenboard_etl.cli_connections import read_key
    from tokenboard_etl.tenants.live_usage import usage_of, usage_of_key

    if (tenant is None) is not key_from_stdin:
        raise WrongUse("Give a tenant's id, or --key-from-stdin: one of them.")
    settings = load_settings()
    with show_warnings(err):
        found = usage_of(settings, tenant) if tenant is not None else [usage_of_key(settings, read_key())]
    if as_json:
        show_json(found)
    else:
        amounts = ("limit", "spent", "remaining")
        spans = tuple(f"{whose}{span}" for whose in ("", "our ") for span in ("today", "week", "month"))
        headings = ("provider", "account", *amounts, "reset", *spans)
        table = table_of(None, headings, amounts=(*amounts, *spans), names=("account",))
        for each in found:
            theirs = (each.theirs.today_usd, each.theirs.week_usd, each.theirs.month_usd)
            ours = (each.ours.today_usd, each.ours.week_usd, each.ours.month_usd)
            table.add_row(
                each.provider,
                plain(each.account_id),
                "none" if each.limit_usd is None and each.problem is None else _usd(each.limit_usd),
                *map(_usd, (each.spent_usd, each.remaining_usd)),
                plain(each.reset),
                *map(_usd, (*theirs, *ours)),
            )
        show_table(table)
        for each in found:
            if each.problem:
                out.print(f"{each.provider} {plain(each.account_id)}: {plain(each.problem)}", highlight=False)
    if any(each.problem for each in found):
        raise typer.Exit(1)


def _usd(amount: Decimal | None) -> str:
    return "unknown" if amount is None else format_usd(amount)
