"""`tokenboard unallocated` and `tokenboard tenants adopt`: accounts that are nobody's yet, and whose they become."""

from __future__ import annotations

from typing import Annotated, Literal

import typer
from rich.table import Table

from tokenboard_etl.logs import show_warnings
from tokenboard_etl.money import format_usd
from tokenboard_etl.periods import parse_day
from tokenboard_etl.settings import load_settings
from tokenboard_etl.terminal import err, out, plain, show_json


def unallocated(as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False) -> None:
    """List accounts nobody is bound to, with the spend they carry, oldest first."""
    from tokenboard_etl.reading.unallocated import unallocated as read

    found = read(load_settings().published_path)
    if as_json:
        show_json(found)
        return
    table = Table("provider", "connection", "account", "name", "status", "since", "until", "cost")
    for each in found:
        account = each.account_id or "(no account)"
        days = (str(each.first_day), str(each.last_day), format_usd(each.cost_usd))
        table.add_row(*map(plain, (each.provider, each.connection_id, account, each.name, each.status, *days)))
    out.print(table if found else "All spend belongs to a tenant.")


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
