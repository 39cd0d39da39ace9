"""Provisioning as jobs: one new tenant, or whatever is pending. Both can be started from Dagster's Launchpad."""

import dagster as dg
from pydantic import Field

from assets.resources import Surroundings
from tokenboard_etl.closing import republish
from tokenboard_etl.tenants.provisioning.orders import PROVIDERS
from tokenboard_etl.tenants.provisioning.registering import register, registration_of
from tokenboard_etl.tenants.provisioning.run import complete, refuse_pending, require_vault


class NewTenant(dg.Config):
    """Who becomes a tenant. `limit_usd` is a month's, as text, in full at each provider; none is no limit."""

    name: str
    industry: str | None = None
    country: str | None = None
    email: str | None = None
    legal_name: str | None = None
    address: str | None = None
    tax_id: str | None = None
    currency: str = "USD"
    limit_usd: str | None = None
    providers: list[str] = Field(list(PROVIDERS))


class Pending(dg.Config):
    """Whose pending parts are completed; without ids everybody's."""

    tenant_ids: list[str] | None = None


@dg.op(pool="duckdb_writer", description="Registers a tenant, makes its project and keys at the providers, publishes.")
def make_tenant(config: NewTenant, surroundings: dg.ResourceParam[Surroundings]) -> None:
    settings = surroundings.settings()
    require_vault(settings)
    registration = registration_of(**config.model_dump())
    with surroundings.warehouse() as warehouse:
        tenant_id = register(warehouse, registration, settings.now)
    _complete(surroundings, [tenant_id])


@dg.op(pool="duckdb_writer", description="Goes on with everything pending at the providers, then publishes.")
def complete_tenants(config: Pending, surroundings: dg.ResourceParam[Surroundings]) -> None:
    _complete(surroundings, config.tenant_ids)


def _complete(surroundings: Surroundings, tenant_ids: list[str] | None) -> None:
    settings = surroundings.settings()
    pending = complete(settings, tenant_ids)
    with surroundings.warehouse() as warehouse:
        republish(warehouse, settings)
    refuse_pending(pending)


@dg.job(executor_def=dg.in_process_executor, description="A new tenant: project, keys, limits, registry.")
def provision_tenant() -> None:
    make_tenant()


@dg.job(executor_def=dg.in_process_executor, description="Whatever is pending for tenants at the providers.")
def provision_pending() -> None:
    complete_tenants()
