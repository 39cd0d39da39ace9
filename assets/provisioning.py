"""Provisioning as jobs: one new tenant, or whatever is pending. Both can be started from Dagster's Launchpad."""

import json
from collections.abc import Iterator

import dagster as dg
from pydantic import Field

from assets.resources import Surroundings
from tokenboard_etl.closing import republish
from tokenboard_etl.errors import ConfigurationError, RegistryError
from tokenboard_etl.settings import load_settings
from tokenboard_etl.tenants.provisioning.orders import PROVIDERS
from tokenboard_etl.tenants.provisioning.registering import register, registration_of
from tokenboard_etl.tenants.provisioning.run import complete, refuse_pending, require_vault
from tokenboard_etl.tenants.registrations import look, register_once, reject, settle


class NewTenant(dg.Config):
    """Who becomes a tenant. `limit_usd` is a month's, as text, in full at each provider; none is no limit.

    One who came through the inbox has a `registration_id`, which is registered once, and its `inbox_file`: the name,
    and the version of it that was read, because another file may have that name by now.
    """

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
    registration_id: str | None = None
    inbox_file: str | None = None
    inbox_version: str | None = None


class Pending(dg.Config):
    """Whose pending parts are completed; without ids everybody's."""

    tenant_ids: list[str] | None = None


@dg.op(pool="duckdb_writer", description="Registers a tenant, makes its project and keys at the providers, publishes.")
def make_tenant(config: NewTenant, surroundings: dg.ResourceParam[Surroundings]) -> None:
    settings = surroundings.settings()
    require_vault(settings)
    registration = registration_of(**config.model_dump(exclude={"registration_id", "inbox_file", "inbox_version"}))
    inbox = settings.registrations_inbox_path
    try:
        with surroundings.warehouse() as warehouse:
            if config.registration_id is None:
                tenant_id = register(warehouse, registration, settings.now)
            else:
                tenant_id = register_once(warehouse, config.registration_id, registration, settings.now)
    except RegistryError as error:
        if config.inbox_file is not None:
            reject(inbox, config.inbox_file, str(error), config.inbox_version)
        raise
    if config.inbox_file is not None:
        settle(inbox, config.inbox_file, config.inbox_version)
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


@dg.sensor(
    job=provision_tenant,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts provisioning for each registration another system drops into inbox/registrations.",
)
def registration_inbox(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """One run for each version of a file; that none becomes two tenants is seen to where it is registered."""
    settings = load_settings()
    found = look(settings.registrations_inbox_path, json.loads(context.cursor or "{}"))
    context.update_cursor(json.dumps(found.versions))
    if found.dropped:
        try:
            require_vault(settings)
        except ConfigurationError as error:
            yield dg.SkipReason(f"{len(found.dropped)} registration(s) wait: {error}")
            return
    for each in found.dropped:
        config = {**each.content.model_dump(), "inbox_file": each.file, "inbox_version": each.version}
        yield dg.RunRequest(
            run_key=f"{each.content.registration_id} {each.version}",
            run_config={"ops": {"make_tenant": {"config": config}}},
        )
    if not found.dropped:
        yield dg.SkipReason(f"{len(found.unreadable)} file(s) may be half written." if found.unreadable else "Empty.")
