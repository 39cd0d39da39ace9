"""What a tenant is to have at each provider, and which keys it has: registry.provisioning and registry.keys."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import duckdb

from tokenboard_etl.redaction import redact
from tokenboard_etl.warehouse.connection import transaction

PROVIDERS = ("openai", "openrouter")
PENDING, READY = "pending", "ready"


@dataclass(frozen=True)
class Order:
    """What a tenant is to have at one provider. `limit_usd` is a month's; None is no limit.

    `replaces_key_id` is the key a rotation is about to retire. `connection_id` and `project_id` are None until
    something was made.
    """

    tenant_id: str
    provider: str
    connection_id: str | None = None
    limit_usd: Decimal | None = None
    state: str = PENDING
    reason: str | None = "not begun yet"
    project_id: str | None = None
    replaces_key_id: str | None = None


@dataclass(frozen=True)
class IssuedKey:
    """A key that is in the vault. `project_id` and `service_account_id` are OpenAI's."""

    tenant_id: str
    provider: str
    key_id: str
    project_id: str | None = None
    service_account_id: str | None = None
    label: str | None = None


def orders(warehouse: duckdb.DuckDBPyConnection, tenant_id: str | None = None, state: str | None = None) -> list[Order]:
    """Orders of all tenants or of one, in one state or in any, in the order they came."""
    rows = warehouse.execute(
        """
        SELECT tenant_id, provider, connection_id, limit_usd, state, reason, project_id, replaces_key_id
        FROM registry.provisioning
        WHERE ($1 IS NULL OR tenant_id = $1) AND ($2 IS NULL OR state = $2)
        ORDER BY requested_at, tenant_id, provider
        """,
        [tenant_id, state],
    ).fetchall()
    found = [Order(*row) for row in rows]
    return [replace(each, limit_usd=each.limit_usd and each.limit_usd.normalize()) for each in found]


def place_order(warehouse: duckdb.DuckDBPyConnection, order: Order, now: datetime) -> None:
    """Adds an order, within the caller's transaction."""
    warehouse.execute(
        "INSERT INTO registry.provisioning VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)", [*_values(order), now]
    )


def change_order(warehouse: duckdb.DuckDBPyConnection, order: Order, now: datetime, **changes: Any) -> Order:
    """Writes what changed of an order, within the transaction the caller has open, if any."""
    changed = replace(order, **changes)
    warehouse.execute(
        """
        UPDATE registry.provisioning
        SET connection_id = $3, limit_usd = $4, state = $5, reason = $6, project_id = $7, replaces_key_id = $8,
            changed_at = $9
        WHERE tenant_id = $1 AND provider = $2
        """,
        [*_values(changed), now],
    )
    return changed


def request_limit(warehouse: duckdb.DuckDBPyConnection, tenant_id: str, limit_usd: Decimal, now: datetime) -> int:
    """From now on the tenant is to have this limit at each provider; returns at how many.

    Where its accounts were there before us, none is set.
    """
    wanted = [order for order in orders(warehouse, tenant_id) if _is_ours(warehouse, order)]
    with transaction(warehouse):
        for order in wanted:
            change_order(warehouse, order, now, limit_usd=limit_usd, state=PENDING, reason="its limit is to be changed")
    return len(wanted)


def request_rotation(warehouse: duckdb.DuckDBPyConnection, tenant_id: str, now: datetime) -> int:
    """From now on the tenant is to have another key at each provider; returns at how many.

    A rotation that was begun is gone on with, not begun again. A key that was there before us is left alone.
    """
    wanted = [order for order in orders(warehouse, tenant_id) if _is_ours(warehouse, order)]
    with transaction(warehouse):
        for order in wanted:
            key = live_key(warehouse, order)
            if key is not None and order.replaces_key_id is None:
                reason = "its key is to be rotated"
                change_order(warehouse, order, now, replaces_key_id=key.key_id, state=PENDING, reason=reason)
    return len(wanted)


def stay_pending(warehouse: duckdb.DuckDBPyConnection, order: Order, reason: str, now: datetime) -> Order:
    """Notes why an order could not be completed this time."""
    with transaction(warehouse):
        return change_order(warehouse, order, now, state=PENDING, reason=redact(reason))


def live_key(warehouse: duckdb.DuckDBPyConnection, order: Order) -> IssuedKey | None:
    """The key the tenant is to use: not the one a rotation is about to retire."""
    found = [key for key in usable_keys(warehouse, order) if key.key_id != order.replaces_key_id]
    return found[0] if found else None


def usable_keys(warehouse: duckdb.DuckDBPyConnection, order: Order) -> list[IssuedKey]:
    """Keys that are not retired: one, or two during a rotation."""
    rows = warehouse.execute(
        """
        SELECT tenant_id, provider, key_id, project_id, service_account_id, label FROM registry.keys
        WHERE tenant_id = $1 AND provider = $2 AND retired_at IS NULL ORDER BY stored_at, key_id
        """,
        [order.tenant_id, order.provider],
    ).fetchall()
    return [IssuedKey(*row) for row in rows]


def record_key(warehouse: duckdb.DuckDBPyConnection, key: IssuedKey, now: datetime) -> None:
    """Notes a key that is in the vault, within the caller's transaction."""
    warehouse.execute(
        "INSERT INTO registry.keys VALUES ($1, $2, $3, $4, $5, $6, $7, NULL)",
        [key.tenant_id, key.provider, key.key_id, key.project_id, key.service_account_id, key.label, now],
    )


def retire_key(warehouse: duckdb.DuckDBPyConnection, key: IssuedKey, now: datetime) -> None:
    """Notes that a key cannot be used any more, within the caller's transaction."""
    warehouse.execute(
        "UPDATE registry.keys SET retired_at = $3 WHERE provider = $1 AND key_id = $2",
        [key.provider, key.key_id, now],
    )


def _is_ours(warehouse: duckdb.DuckDBPyConnection, order: Order) -> bool:
    """Whether a key was made here, or is still to be."""
    return order.state == PENDING or live_key(warehouse, order) is not None


def _values(order: Order) -> list[object]:
    return [
        order.tenant_id,
        order.provider,
        order.connection_id,
        order.limit_usd,
        order.state,
        order.reason,
        order.project_id,
        order.replaces_key_id,
    ]
