"""`tokenboard provision`, `tokenboard key reveal`, and what changes a tenant at its providers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import duckdb
import typer

from tokenboard_etl.errors import RegistryError, WrongUse
from tokenboard_etl.logs import log_to, show_progress, show_warnings
from tokenboard_etl.settings import Settings, load_settings
from tokenboard_etl.terminal import err, out, plain, show_json, show_table, table_of

if TYPE_CHECKING:
    from tokenboard_etl.tenants.provisioning.registering import Registration

key_app = typer.Typer(help="The keys made for tenants.", no_args_is_help=True)

_BOTH = "openai,openrouter"
_LATEST = 10
"""Rows of each table that are shown; --json has all."""

_SHOWN = {
    "names": ("name", "since"),
    "accounts": ("provider", "kind", "account_id", "valid_from", "valid_until"),
    "keys": ("provider", "key_id", "retired_at"),
    "provisioning": ("provider", "limit_usd", "state", "reason"),
    "actions": ("provider", "action", "subject", "result", "detail"),
}


def provision(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="The new tenant's name.")] = None,
    limit: Annotated[
        str | None, typer.Option(metavar="USD", help="Monthly limit, in full at each provider; else none.")
    ] = None,
    industry: Annotated[str | None, typer.Option(help="Its line of business.")] = None,
    country: Annotated[str | None, typer.Option(metavar="CC", help="ISO 3166 two-letter code.")] = None,
    email: Annotated[str | None, typer.Option(help="Where invoices go.")] = None,
    legal_name: Annotated[str | None, typer.Option(help="As contracts have it, if that is another name.")] = None,
    address: Annotated[str | None, typer.Option(help="Postal address, in one line.")] = None,
    tax_id: Annotated[str | None, typer.Option(help="VAT number or the like.")] = None,
    currency: Annotated[str, typer.Option(help="ISO 4217 code of its invoices.")] = "USD",
    providers: Annotated[str, typer.Option(help="Where it is to have an account, with commas between.")] = _BOTH,
    from_csv: Annotated[
        Path | None, typer.Option("--from-csv", metavar="FILE", help="All tenants of a file instead of one.")
    ] = None,
    pending: Annotated[bool, typer.Option("--pending", help="Go on with everything that is pending.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be made.")] = False,
) -> None:
    """Make a tenant's OpenAI project and OpenRouter key, with limits; run it again after a failure to go on."""
    if [name is not None, from_csv is not None, pending].count(True) != 1:
        raise WrongUse("Give a name, or --from-csv FILE, or --pending: one of them.")
    settings, wanted = load_settings(), [each.strip() for each in providers.split(",")]
    tenant = {
        "name": name or "",
        "industry": industry,
        "country": country,
        "email": email,
        "legal_name": legal_name,
        "address": address,
        "tax_id": tax_id,
        "currency": currency,
        "limit_usd": limit,
        "providers": wanted,
    }
    if dry_run:
        _show_plan(settings, tenant, from_csv, pending)
    elif from_csv is not None:
        _provision_file(settings, from_csv, wanted)
    elif pending:
        _go_on(settings, None)
    else:
        _provision_one(settings, tenant)


@key_app.command("reveal")
def key_reveal(
    tenant: Annotated[str, typer.Argument(metavar="TENANT_ID")],
    provider: Annotated[Literal["openai", "openrouter"], typer.Option(help="Whose key.")],
    stdout: Annotated[bool, typer.Option("--stdout", help="Also where stdout is no terminal.")] = False,
) -> None:
    """Show the key a tenant uses; on record with who asked."""
    from tokenboard_etl.tenants.revealing import reveal

    if not (stdout or sys.stdout.isatty()):
        raise WrongUse(
            "stdout is no terminal, so the key would end up in a file or another program. --stdout allows it."
        )
    with show_warnings(err):
        value = reveal(load_settings(), tenant, provider)
    sys.stdout.write(f"{value.get_secret_value()}\n")


def tenants_limit(
    tenant: Annotated[str, typer.Argument(metavar="TENANT_ID")],
    usd: Annotated[str, typer.Argument(metavar="USD", help="Monthly limit, in full at each provider.")],
) -> None:
    """Change a tenant's monthly limit at its providers."""
    from tokenboard_etl.tenants.details import parse_limit
    from tokenboard_etl.tenants.provisioning.orders import request_limit

    settings, limit_usd = load_settings(), parse_limit(usd)
    if limit_usd is None:
        raise WrongUse("Give a limit in USD, for example 200.")
    _change(settings, tenant, lambda warehouse: request_limit(warehouse, tenant, limit_usd, settings.now))


def tenants_rotate(tenant: Annotated[str, typer.Argument(metavar="TENANT_ID")]) -> None:
    """Make a tenant new keys; the earlier ones stop once the new ones are stored and confirmed."""
    from tokenboard_etl.tenants.provisioning.orders import request_rotation

    settings = load_settings()
    _change(settings, tenant, lambda warehouse: request_rotation(warehouse, tenant, settings.now))


def tenants_show(
    tenant: Annotated[str, typer.Argument(metavar="TENANT_ID")],
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Show what is known of a tenant: accounts, keys (never their values), what is pending, and the latest actions."""
    from tokenboard_etl.tenants.overview import overview
    from tokenboard_etl.warehouse.connection import open_warehouse

    settings = load_settings()
    with show_warnings(err), open_warehouse(settings.warehouse_path) as warehouse:
        found = overview(warehouse, tenant)
    if as_json:
        show_json(found)
        return
    facts = table_of(None, ("fact", "value"), names=("value",))
    for label, value in found["tenant"].items():
        facts.add_row(label, plain(None if value is None else str(value)))
    show_table(facts)
    for title, columns in _SHOWN.items():
        if rows := found[title]:
            table = table_of(title, columns, names=columns)
            for row in rows[-_LATEST:]:
                table.add_row(*(plain(None if row[column] is None else str(row[column])) for column in columns))
            show_table(table)


def _show_plan(settings: Settings, tenant: dict[str, Any], from_csv: Path | None, pending: bool) -> None:
    from tokenboard_etl.tenants.provisioning.registering import planned
    from tokenboard_etl.warehouse.connection import open_warehouse

    what = None if pending else from_csv or _registration(tenant)
    with show_warnings(err), open_warehouse(settings.warehouse_path) as warehouse:
        lines = planned(warehouse, settings, what, tenant["providers"])
    for line in lines or ["Nothing is pending."]:
        out.print(plain(line), highlight=False)


def _provision_one(settings: Settings, tenant: dict[str, Any]) -> None:
    from tokenboard_etl.tenants.provisioning.registering import registrable
    from tokenboard_etl.tenants.provisioning.run import require_vault
    from tokenboard_etl.warehouse.connection import open_warehouse

    require_vault(settings)
    with show_warnings(err), open_warehouse(settings.warehouse_path) as warehouse:
        tenant_id = registrable(warehouse, _registration(tenant), settings.now)  # wrong use is said at once
    with log_to(settings.logs_path), show_progress(out):
        from assets.run import run_provision_tenant  # Dagster costs seconds, so only here

        run_provision_tenant(settings, tenant)
    out.print(f"{tenant_id} is provisioned; `tokenboard key reveal {tenant_id} --provider ...` shows a key")


def _provision_file(settings: Settings, path: Path, providers: list[str]) -> None:
    from tokenboard_etl.tenants.provisioning.registering import register_file
    from tokenboard_etl.tenants.provisioning.run import require_vault
    from tokenboard_etl.warehouse.connection import open_warehouse

    require_vault(settings)
    with show_warnings(err), open_warehouse(settings.warehouse_path) as warehouse:
        tenant_ids = register_file(warehouse, path, providers, settings.now)
    _go_on(settings, tenant_ids)


def _change(settings: Settings, tenant: str, request: Callable[[duckdb.DuckDBPyConnection], int]) -> None:
    """Notes a wish for a tenant at all of its providers, then fulfils it."""
    from tokenboard_etl.tenants.provisioning.run import require_vault
    from tokenboard_etl.tenants.registry import ACTIVE, require_tenant
    from tokenboard_etl.warehouse.connection import open_warehouse

    require_vault(settings)
    with show_warnings(err), open_warehouse(settings.warehouse_path) as warehouse:
        if (status := require_tenant(warehouse, tenant).status) != ACTIVE:
            raise RegistryError(f"{tenant} is {status}, so nothing of it is changed.")
        if not request(warehouse):
            raise RegistryError(f"Nothing was made for a tenant {tenant!r} here, so there is nothing to change.")
    _go_on(settings, [tenant])


def _go_on(settings: Settings, tenant_ids: list[str] | None) -> None:
    with log_to(settings.logs_path), show_progress(out):
        from assets.run import run_provision_pending

        run_provision_pending(settings, tenant_ids)
    out.print("Nothing is pending any more" if tenant_ids is None else f"{len(tenant_ids)} tenant(s) have everything")


def _registration(tenant: dict[str, Any]) -> Registration:
    from tokenboard_etl.tenants.provisioning.registering import registration_of

    return registration_of(**tenant)
