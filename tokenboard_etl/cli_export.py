"""`tokenboard export`: what others read, from the published file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from tokenboard_etl.settings import Settings, load_settings
from tokenboard_etl.terminal import out

export_app = typer.Typer(help="Files for others, made from the published file.", no_args_is_help=True)

Folder = Annotated[Path | None, typer.Option("--to", metavar="FOLDER", help="By default TOKENBOARD_HOME/exports.")]


@export_app.command("focus")
def export_focus(
    month: Annotated[str, typer.Option(metavar="YYYY-MM")],
    side: Annotated[
        Literal["cost", "billing"] | None,
        typer.Option(help="What providers charge you, or what you charge your tenants; by default a file of each."),
    ] = None,
    to: Folder = None,
) -> None:
    """A month in the FinOps FOCUS format 1.2, as Parquet."""
    from tokenboard_etl.billing.policy_file import load_policy
    from tokenboard_etl.reading.focus import SIDES
    from tokenboard_etl.reading.focus import export_focus as write

    settings = load_settings()
    named = load_policy(settings).policy.seller
    for each in [side] if side else SIDES:
        path, rows = write(settings.published_path, month, each, named.name if named else None, _folder(settings, to))
        out.print(f"{rows} rows   {path}", highlight=False, markup=False)


@export_app.command("tenant")
def export_tenant(
    tenant_id: Annotated[str, typer.Argument(metavar="TENANT_ID")],
    to: Folder = None,
) -> None:
    """A tenant's documents, lines, taxes and days as Parquet, and the SQL that recomputes its invoices from them."""
    from tokenboard_etl.reading.tenant_export import export_tenant as write

    settings = load_settings()
    for path, rows in write(settings.published_path, tenant_id, _folder(settings, to)):
        out.print(f"{rows} rows   {path}", highlight=False, markup=False)
    out.print(f"recompute with   {path.with_name('check.sql')}", highlight=False, markup=False)


def _folder(settings: Settings, to: Path | None) -> Path:
    return settings.home / "exports" if to is None else to.expanduser().resolve()
