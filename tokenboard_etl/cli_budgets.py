"""`tokenboard budgets push`: budgets of the policy as hard limits at the providers."""

from __future__ import annotations

from typing import Annotated

import typer

from tokenboard_etl.errors import ProvisioningPending
from tokenboard_etl.logs import show_warnings
from tokenboard_etl.money import format_usd
from tokenboard_etl.settings import load_settings
from tokenboard_etl.terminal import err, out, plain, show_table, table_of

budgets_app = typer.Typer(help="What tenants mean to spend.", no_args_is_help=True)


@budgets_app.callback()
def _budgets() -> None:
    """Keeps `push` a command of its own."""


@budgets_app.command("push")
def budgets_push(
    tenant: Annotated[str | None, typer.Option(metavar="TENANT_ID", help="Of one tenant; else of all.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be set.")] = False,
) -> None:
    """Set the limits that pushed budgets come to where the providers have none, or another one."""
    from tokenboard_etl.closing import bring_up_to_date, republish
    from tokenboard_etl.tenants.provisioning.pushing import limits_to_push, push
    from tokenboard_etl.tenants.registry import require_tenant
    from tokenboard_etl.warehouse.connection import open_warehouse
    from tokenboard_etl.warehouse.scratch import scratch_warehouse

    settings, failures = load_settings(), list[str]()
    opened = scratch_warehouse if dry_run else open_warehouse
    with show_warnings(err), opened(settings.warehouse_path) as warehouse:
        if tenant is not None:
            require_tenant(warehouse, tenant)
        bring_up_to_date(warehouse, settings)
        wanted = limits_to_push(warehouse, tenant)
        if wanted and not dry_run:
            failures = push(warehouse, settings, wanted)
            republish(warehouse, settings)
    table = table_of(
        None, ("tenant", "provider", "account", "limit", "was"), amounts=("limit", "was"), names=("account",)
    )
    for each in wanted:
        was = "none" if each.actual_usd is None else format_usd(each.actual_usd)
        table.add_row(each.tenant_id, each.provider, plain(each.account_id), format_usd(each.wanted_usd), was)
    if wanted:
        show_table(table)
    else:
        out.print("Every pushed budget that was read is in force.")
    if failures:
        raise ProvisioningPending(f"Not set: {'; '.join(failures[:3])}. Run `tokenboard budgets push` again.")
