"""Everything on record about one tenant, without any secret."""

from __future__ import annotations

from dataclasses import asdict
from decimal import Decimal
from typing import Any

import duckdb

from tokenboard_etl.tenants.registry import require_tenant

_TABLES = {
    "names": "SELECT name, since FROM registry.tenant_names WHERE tenant_id = $1 ORDER BY since",
    "accounts": """
        SELECT provider, kind, account_id, valid_from, valid_until FROM registry.accounts
        WHERE tenant_id = $1 ORDER BY valid_from, provider, account_id
        """,
    "keys": """
        SELECT provider, key_id, project_id, service_account_id, label, stored_at, retired_at FROM registry.keys
        WHERE tenant_id = $1 ORDER BY stored_at, provider
        """,
    "provisioning": """
        SELECT provider, connection_id, limit_usd, state, reason FROM registry.provisioning
        WHERE tenant_id = $1 ORDER BY provider
        """,
    "actions": """
        SELECT began_at, actor, provider, action, subject, result, object_id, request_id, detail FROM registry.audit
        WHERE tenant_id = $1 ORDER BY action_no
        """,
}


def overview(warehouse: duckdb.DuckDBPyConnection, tenant_id: str) -> dict[str, Any]:
    """The tenant's own facts under "tenant", then lists of rows by what they are about, oldest first."""
    tenant = require_tenant(warehouse, tenant_id)
    found: dict[str, Any] = {"tenant": {**asdict(tenant), "description": tenant.description}}
    for name, query in _TABLES.items():
        cursor = warehouse.execute(query, [tenant_id])
        columns = [str(column[0]) for column in cursor.description or ()]
        found[name] = [dict(zip(columns, map(_shown, row), strict=True)) for row in cursor.fetchall()]
    return found


def _shown(value: object) -> object:
    return f"{value.normalize():f}" if isinstance(value, Decimal) else value
