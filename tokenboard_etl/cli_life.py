"""`tokenboard tenants suspend`, `resume` and `offboard`."""

from __future__ import annotations

from typing import Annotated

import typer

from tokenboard_etl.logs import log_to, show_progress, show_warnings
from tokenboard_etl.settings import load_settings
from tokenboard_etl.tenants.registry import ACTIVE, OFFBOARDED, SUSPENDED
from tokenboard_etl.terminal import err, out

TenantId = Annotated[str, typer.Argument(metavar="TENANT_ID")]


def tenants_suspend(tenant: TenantId) -> None:
    """Stop a tenant's keys until it is resumed: OpenRouter's are disabled, OpenAI's deleted."""
    _become(tenant, SUSPENDED)


def tenants_resume(tenant: TenantId) -> None:
    """Let a suspended tenant spend again; at OpenAI with a new key, which `tokenboard key reveal` shows."""
    _become(tenant, ACTIVE)


def tenants_offboard(tenant: TenantId) -> None:
    """Read a tenant's figures one last time, then stop its keys and archive its projects, for good."""
    _become(tenant, OFFBOARDED)


def _become(tenant: str, status: str) -> None:
    from tokenboard_etl.tenants.provisioning.run import require_vault
    from tokenboard_etl.tenants.provisioning.standing import request_status
    from tokenboard_etl.warehouse.connection import open_warehouse

    settings = load_settings()
    require_vault(settings)
    with show_warnings(err), open_warehouse(settings.warehouse_path) as warehouse:
        request_status(warehouse, tenant, status, settings.now)
    with log_to(settings.logs_path, settings.log_format), show_progress(out):
        from assets.run import run_provision_pending  # Dagster costs seconds, so only here

        run_provision_pending(settings, [tenant])
    out.print(f"{tenant} is {status}", highlight=False)
