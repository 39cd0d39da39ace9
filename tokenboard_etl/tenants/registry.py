"""Tenants and their accounts: reading, and binding without overlap."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from datetime import date, datetime

import duckdb

from tokenboard_etl.errors import RegistryError
from tokenboard_etl.warehouse.loads import mark_months

ACTIVE, SUSPENDED, OFFBOARDED = "active", "suspended", "offboarded"


@dataclass(frozen=True)
class Tenant:
    """A customer who is billed. `currency` is ISO 4217, `country` ISO 3166 alpha-2."""

    tenant_id: str
    name: str
    industry: str | None
    country: str | None
    currency: str
    billing_email: str | None
    status: str = ACTIVE
    legal_name: str | None = None
    address: str | None = None
    tax_id: str | None = None

    @property
    def description(self) -> str:
        return f"Project for {self.name} - {self.industry or 'unspecified'}"


@dataclass(frozen=True)
class Binding:
    """From `valid_from` (included) until `valid_until` (excluded) the account's spend is the tenant's."""

    tenant_id: str
    provider: str
    kind: str
    account_id: str
    valid_from: date
    valid_until: date | None = None

    def overlaps(self, other: Binding) -> bool:
        """Whether both claim the same account on some day."""
        same = (self.provider, self.kind, self.account_id) == (other.provider, other.kind, other.account_id)
        return (
            same
            and (other.valid_until is None or self.valid_from < other.valid_until)
            and (self.valid_until is None or other.valid_from < self.valid_until)
        )


def tenants(connection: duckdb.DuckDBPyConnection) -> list[Tenant]:
    """All tenants by id."""
    rows = connection.execute(
        """
        SELECT tenant_id, name, industry, country, currency, billing_email, status, legal_name, address, tax_id
        FROM registry.tenants ORDER BY tenant_id
        """
    ).fetchall()
    return [Tenant(*row) for row in rows]


def require_tenant(connection: duckdb.DuckDBPyConnection, tenant_id: str) -> Tenant:
    """The tenant of that id; raises RegistryError if there is none."""
    tenant = next((each for each in tenants(connection) if each.tenant_id == tenant_id), None)
    if tenant is None:
        raise RegistryError(f"There is no tenant {tenant_id!r}; `tokenboard tenants list` shows all.")
    return tenant


def bindings_of(connection: duckdb.DuckDBPyConnection, provider: str, account_id: str) -> list[Binding]:
    """Who has had an account, oldest binding first."""
    rows = connection.execute(
        """
        SELECT tenant_id, provider, kind, account_id, valid_from, valid_until
        FROM registry.accounts WHERE provider = $1 AND account_id = $2 ORDER BY valid_from
        """,
        [provider, account_id],
    ).fetchall()
    return [Binding(*row) for row in rows]


def save_tenant(connection: duckdb.DuckDBPyConnection, tenant: Tenant, known: dict[str, Tenant], now: datetime) -> bool:
    """Registers a tenant or updates what is known of it, also in `known` (by id); True if something changed."""
    if known.get(tenant.tenant_id) == tenant:
        return False
    if tenant.tenant_id in known:
        connection.execute(
            """
            UPDATE registry.tenants
            SET name = $2, industry = $3, description = $4, country = $5, currency = $6, billing_email = $7,
                status = $8, legal_name = $9, address = $10, tax_id = $11
            WHERE tenant_id = $1
            """,
            _columns(tenant),
        )
    else:
        connection.execute(
            """
            INSERT INTO registry.tenants (
                tenant_id, name, industry, description, country, currency, billing_email, status, legal_name, address,
                tax_id, created_at
            ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
            """,
            [*_columns(tenant), now],
        )
    if tenant.tenant_id not in known or known[tenant.tenant_id].name != tenant.name:
        connection.execute(
            "INSERT INTO registry.tenant_names VALUES ($1, $2, $3)", [tenant.tenant_id, tenant.name, now]
        )
    known[tenant.tenant_id] = tenant
    return True


def bind(connection: duckdb.DuckDBPyConnection, binding: Binding, now: datetime) -> bool:
    """Adds a binding; False if it is there already. Raises RegistryError if somebody else has the account."""
    for existing in bindings_of(connection, binding.provider, binding.account_id):
        if existing == binding:
            return False
        if existing.overlaps(binding):
            until = f"until {existing.valid_until}" if existing.valid_until else "without an end"
            raise RegistryError(
                f"{binding.provider} {binding.kind} {binding.account_id} belongs to {existing.tenant_id} from "
                f"{existing.valid_from} {until}; it cannot be bound to {binding.tenant_id} from {binding.valid_from}. "
                "End the first binding, or correct the date; `tokenboard tenants adopt --take-over` ends it on a day."
            )
    connection.execute(
        "INSERT INTO registry.accounts VALUES ($1, $2, $3, $4, $5, $6, $7)",
        [*astuple(binding), now],
    )
    return True


def rerate_open_months(connection: duckdb.DuckDBPyConnection, since: date = date.min) -> None:
    """Has the models built again for every month that is not closed and was loaded for a day from `since` on."""
    months = connection.execute(
        """
        SELECT DISTINCT strftime(usage_date, '%Y-%m') AS month FROM ops.load_days
        WHERE usage_date >= $1 AND month NOT IN (SELECT month FROM billing.closed_months WHERE tenant_id IS NULL)
        """,
        [since],
    ).fetchall()
    mark_months(connection, {month for (month,) in months})


def _columns(tenant: Tenant) -> list[str | None]:
    return [
        tenant.tenant_id,
        tenant.name,
        tenant.industry,
        tenant.description,
        tenant.country,
        tenant.currency,
        tenant.billing_email,
        tenant.status,
        tenant.legal_name,
        tenant.address,
        tenant.tax_id,
    ]
