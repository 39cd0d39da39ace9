"""New tenants and what they are to have, from the command line or from a file; and, before that, what would be made."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
from babel.numbers import list_currencies

from tokenboard_etl.billing.policy_file import load_policy
from tokenboard_etl.connections import connections
from tokenboard_etl.errors import RegistryError, shown
from tokenboard_etl.settings import Settings
from tokenboard_etl.tenants.csv_import import read_tenants
from tokenboard_etl.tenants.details import parse_limit, with_details
from tokenboard_etl.tenants.names import clean_name, name_key, tenant_id_for
from tokenboard_etl.tenants.provisioning.orders import PENDING, PROVIDERS, Order, orders, place_order
from tokenboard_etl.tenants.registry import ACTIVE, Tenant, save_tenant, tenants
from tokenboard_etl.warehouse.connection import transaction


@dataclass(frozen=True)
class Registration:
    """What is known of a customer who is to become a tenant. `limit_usd` is a month's, in full at each provider."""

    name: str
    industry: str | None = None
    country: str | None = None
    billing_email: str | None = None
    legal_name: str | None = None
    address: str | None = None
    tax_id: str | None = None
    currency: str = "USD"
    limit_usd: Decimal | None = None
    providers: Sequence[str] = PROVIDERS


def registration_of(*, limit_usd: str | None, currency: str, email: str | None, **fields: Any) -> Registration:
    """A registration from what people and files write."""
    return Registration(
        **fields, billing_email=email, currency=currency.strip().upper(), limit_usd=parse_limit(limit_usd)
    )


def register(warehouse: duckdb.DuckDBPyConnection, registration: Registration, now: datetime) -> str:
    """Registers a tenant with its orders in one transaction, and returns its id.

    The name of a tenant who is still pending continues that one. Raises RegistryError for every other name that is
    taken, whatever its case or Unicode form.
    """
    with transaction(warehouse):
        return _register(warehouse, registration, now)


def register_new(warehouse: duckdb.DuckDBPyConnection, registration: Registration, now: datetime) -> str:
    """The same within the caller's transaction, and a name of a tenant who is pending is refused like all others."""
    return _register(warehouse, registration, now, continues=False)


def registrable(warehouse: duckdb.DuckDBPyConnection, registration: Registration, now: datetime) -> str:
    """The id the tenant will get, or RegistryError: what `register` would do, without doing it."""
    warehouse.begin()
    try:
        return _register(warehouse, registration, now)
    finally:
        warehouse.rollback()


def register_file(
    warehouse: duckdb.DuckDBPyConnection, path: Path, providers: Collection[str], now: datetime
) -> list[str]:
    """Registers all tenants of a CSV file in one transaction, with orders for what they lack; returns their ids.

    A tenant with an account at a provider, or an order there, gets no further one.
    """
    with transaction(warehouse):
        return _register_file(warehouse, path, providers, now)


def planned(
    warehouse: duckdb.DuckDBPyConnection,
    settings: Settings,
    what: Registration | Path | None,
    providers: Collection[str],
) -> list[str]:
    """What provisioning of a tenant, a file or all that is pending would do, line by line.

    Nothing is asked of a provider and nothing stays written.
    """
    warehouse.begin()
    try:
        if what is None:
            ids = list({order.tenant_id: None for order in orders(warehouse, state=PENDING)})
        elif isinstance(what, Path):
            ids = _register_file(warehouse, what, providers, settings.now)
        else:
            ids = [_register(warehouse, what, settings.now)]
        known = {tenant.tenant_id: tenant for tenant in tenants(warehouse)}
        return [line for each in ids for line in _plan(warehouse, settings, known[each])]
    finally:
        warehouse.rollback()


def _register(
    warehouse: duckdb.DuckDBPyConnection, registration: Registration, now: datetime, *, continues: bool = True
) -> str:
    _refuse_other_providers(registration.providers)
    if registration.currency not in list_currencies():
        raise RegistryError(f"{shown(registration.currency)} is not an ISO 4217 currency code.")
    name = clean_name(registration.name)
    known = {tenant.tenant_id: tenant for tenant in tenants(warehouse)}
    same = next((each for each in known.values() if name_key(each.name) == name_key(name)), None)
    if same is not None:
        pending = orders(warehouse, same.tenant_id, PENDING)
        if continues and same.status == ACTIVE and pending:
            _refuse_other_limit(registration, pending)
            return same.tenant_id
        raise RegistryError(
            f"The name {name!r} belongs to the tenant {same.tenant_id} ({same.name!r}) already; nothing was made."
        )
    blank = Tenant(tenant_id_for(name, known), name, None, None, registration.currency, None)
    tenant = with_details(
        blank,
        country=registration.country,
        industry=registration.industry,
        billing_email=registration.billing_email,
        legal_name=registration.legal_name,
        address=registration.address,
        tax_id=registration.tax_id,
    )
    save_tenant(warehouse, tenant, known, now)
    for provider in dict.fromkeys(registration.providers):
        place_order(warehouse, Order(tenant.tenant_id, provider, limit_usd=registration.limit_usd), now)
    return tenant.tenant_id


def _register_file(
    warehouse: duckdb.DuckDBPyConnection, path: Path, providers: Collection[str], now: datetime
) -> list[str]:
    _refuse_other_providers(providers)
    imported = read_tenants(warehouse, path, now, required=("name",))
    for tenant_id, limit_usd in imported.limits_usd.items():
        has = _providers_of(warehouse, tenant_id)
        for provider in dict.fromkeys(providers):
            if provider not in has:
                place_order(warehouse, Order(tenant_id, provider, limit_usd=limit_usd), now)
    return list(imported.limits_usd)


def _refuse_other_limit(registration: Registration, pending: Sequence[Order]) -> None:
    """A limit that is asked for is never left out: what is pending has its own."""
    wanted = registration.limit_usd
    other = next((each for each in pending if wanted not in (None, each.limit_usd)), None)
    if other is not None:
        has = "no limit" if other.limit_usd is None else f"a limit of {other.limit_usd:.2f} USD"
        raise RegistryError(
            f"{other.tenant_id} is pending with {has}; `tokenboard tenants limit {other.tenant_id} USD` sets another."
        )


def _refuse_other_providers(providers: Collection[str]) -> None:
    for each in providers or ("",):
        if each not in PROVIDERS:
            raise RegistryError(f"{shown(each)} is no provider; there are {' and '.join(PROVIDERS)}.")


def _providers_of(warehouse: duckdb.DuckDBPyConnection, tenant_id: str) -> set[str]:
    rows = warehouse.execute(
        """
        SELECT provider FROM registry.accounts WHERE tenant_id = $1 AND valid_until IS NULL
        UNION SELECT provider FROM registry.provisioning WHERE tenant_id = $1
        """,
        [tenant_id],
    ).fetchall()
    return {provider for (provider,) in rows}


def _plan(warehouse: duckdb.DuckDBPyConnection, settings: Settings, tenant: Tenant) -> Iterator[str]:
    configured = {each.provider for each in connections(settings) if each.tenant_id is None}
    recipient = load_policy(settings).policy.operator_email or tenant.billing_email
    pending = orders(warehouse, tenant.tenant_id, PENDING)
    yield f"{tenant.tenant_id}: {tenant.description}" + ("" if pending else ", nothing to be made")
    for order in pending:
        limit = f"{order.limit_usd:.2f} USD a month" if order.limit_usd else None
        if order.provider == "openrouter":
            made = f"a key {tenant.name!r}, " + (f"limit {limit}" if limit else "no limit")
        else:
            made = f"a project {tenant.name!r}, a service account with its key, "
            made += f"limit {limit}, {f'alerts to {recipient}' if recipient else 'no alerts'}" if limit else "no limit"
        if order.provider not in configured:
            made = f"stays pending until its key is configured ({made})"
        yield f"  {order.provider}: {made}"
