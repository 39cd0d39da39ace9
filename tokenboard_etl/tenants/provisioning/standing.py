"""Whether a tenant may spend: active, suspended or offboarded; what that is to mean at its providers is its orders'."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime

import duckdb

from tokenboard_etl.errors import RegistryError
from tokenboard_etl.periods import utc_day
from tokenboard_etl.tenants.provisioning.orders import PENDING, Order, change_order, orders, place_order
from tokenboard_etl.tenants.registry import ACTIVE, OFFBOARDED, SUSPENDED, require_tenant, save_tenant
from tokenboard_etl.warehouse.connection import transaction

_REASONS = {
    ACTIVE: "its accounts are to be opened again",
    SUSPENDED: "its keys are to be stopped",
    OFFBOARDED: "its accounts are to be closed",
}

_ADVICE: Mapping[tuple[str, str], str] = {
    (
        OFFBOARDED,
        ACTIVE,
    ): "Its projects are archived, which OpenAI does not take back: provision a new tenant, under another name.",
    (OFFBOARDED, SUSPENDED): "Nothing of it can be used any more.",
}
"""Steps that do not exist; all others do."""


def request_status(warehouse: duckdb.DuckDBPyConnection, tenant_id: str, status: str, now: datetime) -> int:
    """From now on the tenant is to have this status at each provider; returns at how many it is yet to be done.

    One that has it already is gone on with where something is pending. Raises RegistryError for a step that does not
    exist.
    """
    tenant = require_tenant(warehouse, tenant_id)
    if advice := _ADVICE.get((tenant.status, status)):
        raise RegistryError(f"{tenant_id} is {tenant.status}, so it cannot become {status}. {advice}")
    if tenant.status != status:
        with transaction(warehouse):
            save_tenant(warehouse, replace(tenant, status=status), {tenant_id: tenant}, now)
            _order_for_adopted(warehouse, tenant_id, now)
            for order in orders(warehouse, tenant_id):
                change_order(warehouse, order, now, state=PENDING, reason=_REASONS[status])
    return len(orders(warehouse, tenant_id, PENDING))


def bound_accounts(warehouse: duckdb.DuckDBPyConnection, order: Order, today: date) -> list[str]:
    """Projects (OpenAI) or keys (OpenRouter) whose spend is the tenant's today, whoever made them."""
    rows = warehouse.execute(
        """
        SELECT account_id FROM registry.accounts
        WHERE tenant_id = $1 AND provider = $2 AND kind IN ('project', 'key')
            AND valid_from <= $3 AND (valid_until IS NULL OR valid_until > $3)
        ORDER BY valid_from, account_id
        """,
        [order.tenant_id, order.provider, today],
    ).fetchall()
    return [account_id for (account_id,) in rows]


@dataclass(frozen=True)
class Elsewhere:
    """A tenant's account that another connection lists than the one its order is done with."""

    connection_id: str
    account_id: str
    is_in_use: bool


def accounts_elsewhere(
    warehouse: duckdb.DuckDBPyConnection, order: Order, connection_id: str, today: date
) -> list[Elsewhere]:
    """Accounts bound to the tenant that `connection_id` has no list of, as of the newest list that has them."""
    rows = warehouse.execute(
        """
        WITH listed AS (
            SELECT
                connection_id, 'openai' AS provider, project_id AS account_id, archived_at IS NULL AS is_in_use,
                rank() OVER (PARTITION BY connection_id ORDER BY snapshot_date DESC) AS age
            FROM raw.openai_projects
            UNION ALL
            SELECT
                connection_id, 'openrouter', key_hash, NOT disabled,
                rank() OVER (PARTITION BY connection_id ORDER BY snapshot_date DESC)
            FROM raw.openrouter_keys
        )
        SELECT DISTINCT connection_id, account_id, is_in_use FROM listed
        WHERE provider = $1 AND age = 1 AND account_id NOT IN (
            SELECT account_id FROM listed WHERE connection_id = $2
        )
        ORDER BY connection_id, account_id
        """,
        [order.provider, connection_id],
    ).fetchall()
    bound = bound_accounts(warehouse, order, today)
    return [Elsewhere(*row) for row in rows if row[1] in bound]


def is_adopted(warehouse: duckdb.DuckDBPyConnection, order: Order, today: date) -> bool:
    """Whether the tenant's accounts at the provider were there before us: then none is made and no key is ours."""
    ((made,),) = warehouse.execute(
        "SELECT count(*) FROM registry.keys WHERE tenant_id = $1 AND provider = $2", [order.tenant_id, order.provider]
    ).fetchall()
    return not made and order.project_id is None and bool(bound_accounts(warehouse, order, today))


def has_open_actions(warehouse: duckdb.DuckDBPyConnection, order: Order) -> bool:
    """Whether a request was sent of which nobody knows the end."""
    ((count,),) = warehouse.execute(
        """
        SELECT count(*) FROM registry.audit
        WHERE tenant_id = $1 AND provider = $2 AND connection_id IS NOT NULL AND result IN ('begun', 'lost')
        """,
        [order.tenant_id, order.provider],
    ).fetchall()
    return bool(count)


def deleted_accounts(warehouse: duckdb.DuckDBPyConnection, order: Order) -> set[str]:
    """Service accounts whose deletion was begun: whether it happened or not, their keys are not to be relied on."""
    rows = warehouse.execute(
        """
        SELECT object_id FROM registry.audit
        WHERE tenant_id = $1 AND provider = $2 AND action = 'delete service account' AND result <> 'failed'
        """,
        [order.tenant_id, order.provider],
    ).fetchall()
    return {account_id for (account_id,) in rows}


def suspended_keys(warehouse: duckdb.DuckDBPyConnection, order: Order) -> list[str]:
    """Keys that a suspension stopped and nothing has opened again; those that were disabled before stay so."""
    rows = warehouse.execute(
        """
        WITH ranked AS (
            SELECT object_id, action, row_number() OVER (PARTITION BY object_id ORDER BY action_no DESC) AS age
            FROM registry.audit
            WHERE tenant_id = $1 AND provider = $2 AND action IN ('suspend key', 'resume key')
                AND NOT (action = 'suspend key' AND result = 'failed')
                AND NOT (action = 'resume key' AND result NOT IN ('done', 'settled'))
        )
        SELECT object_id FROM ranked WHERE age = 1 AND action = 'suspend key'
            AND object_id NOT IN (SELECT key_id FROM registry.keys WHERE provider = $2 AND retired_at IS NOT NULL)
        ORDER BY object_id
        """,
        [order.tenant_id, order.provider],
    ).fetchall()
    return [key_id for (key_id,) in rows]


def _order_for_adopted(warehouse: duckdb.DuckDBPyConnection, tenant_id: str, now: datetime) -> None:
    """An order for each provider where the tenant has accounts that were bound and not made."""
    rows = warehouse.execute(
        """
        WITH listed AS (
            SELECT DISTINCT connection_id, project_id AS account_id FROM raw.openai_projects
            UNION ALL
            SELECT DISTINCT connection_id, key_hash FROM raw.openrouter_keys
        )
        SELECT bound.provider, CASE WHEN count(DISTINCT listed.connection_id) = 1 THEN min(listed.connection_id) END
        FROM registry.accounts AS bound
        LEFT JOIN listed USING (account_id)
        WHERE bound.tenant_id = $1 AND bound.kind IN ('project', 'key')
            AND bound.valid_from <= $2 AND (bound.valid_until IS NULL OR bound.valid_until > $2)
            AND bound.provider NOT IN (SELECT provider FROM registry.provisioning WHERE tenant_id = $1)
        GROUP BY bound.provider ORDER BY bound.provider
        """,
        [tenant_id, utc_day(now)],
    ).fetchall()
    for provider, connection_id in rows:
        place_order(warehouse, Order(tenant_id, provider, connection_id=connection_id), now)
