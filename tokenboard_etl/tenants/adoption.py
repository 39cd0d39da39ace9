"""Accounts that exist at a provider become a tenant's, from a day on; what is invoiced stays as it is."""

from __future__ import annotations

from datetime import date, datetime

import duckdb

from tokenboard_etl.errors import RegistryError
from tokenboard_etl.tenants.learning import first_open_day
from tokenboard_etl.tenants.registry import Binding, bind, bindings_of, require_tenant, rerate_open_months
from tokenboard_etl.warehouse.connection import transaction


def adopt(
    warehouse: duckdb.DuckDBPyConnection,
    tenant_id: str,
    provider: str,
    account_id: str,
    first: date | None,
    now: datetime,
    *,
    take_over: bool = False,
) -> Binding:
    """Binds an account that a provider lists, or that costs name; returns the binding.

    Without a day it is the tenant's since it was made, as far as that is not invoiced; one that is the tenant's from
    a later day on becomes so from this one. `take_over` ends the binding of whoever has it on that day. Raises
    RegistryError for an account nobody knows, a day that is invoiced, or one that is somebody else's.
    """
    require_tenant(warehouse, tenant_id)
    kind, since = _known(warehouse, provider, account_id)
    held = bindings_of(warehouse, provider, account_id)
    others = [each for each in held if each.valid_until is None]
    open_day = max(first_open_day(warehouse, each) for each in (tenant_id, *(other.tenant_id for other in others)))
    if first is not None and first < open_day:
        raise RegistryError(f"{first} is in a month that is invoiced; the first day that is open is {open_day}.")
    start, until = first or max(since, open_day), None
    if any(each.tenant_id == tenant_id for each in others):
        later = [each.valid_from for each in held if each.tenant_id == tenant_id and each.valid_from > start]
        until = min(later, default=None)
    binding = Binding(tenant_id, provider, kind, account_id, start, until)
    with transaction(warehouse):
        for other in others:
            if take_over and other.tenant_id != tenant_id:
                _end(warehouse, other, binding.valid_from)
        if bind(warehouse, binding, now):
            rerate_open_months(warehouse, since=binding.valid_from)
    return binding


def _known(warehouse: duckdb.DuckDBPyConnection, provider: str, account_id: str) -> tuple[str, date]:
    """What kind of account it is, and since when there is anything of it."""
    built = warehouse.execute(
        """
        SELECT count(*) FROM duckdb_tables()
        WHERE (schema_name, table_name) IN (('ops', 'accounts'), ('billing', 'charges'))
        """
    ).fetchall()
    if built != [(2,)]:
        raise RegistryError("No accounts are known yet; `tokenboard nightly` reads them.")
    rows = warehouse.execute(
        """
        SELECT kind, min(since) FROM (
            SELECT kind, CAST(coalesce(created_at, first_seen) AS DATE) AS since FROM ops.accounts
            WHERE provider = $1 AND account_id = $2 AND kind IN ('project', 'key', 'api_key')
            UNION ALL
            SELECT CASE WHEN provider = 'openai' THEN 'project' ELSE 'key' END, usage_date FROM billing.charges
            WHERE provider = $1 AND account_id = $2
            UNION ALL
            SELECT 'api_key', usage_date FROM billing.charges
            WHERE provider = $1 AND provider = 'openai' AND api_key_id = $2
        ) AS seen
        GROUP BY kind
        """,
        [provider, account_id],
    ).fetchall()
    if len(rows) != 1 or not account_id:
        raise RegistryError(
            f"{provider} lists no account {account_id!r}; `tokenboard unallocated` shows those that are nobody's."
        )
    kind, since = rows[0]
    return str(kind), since


def _end(warehouse: duckdb.DuckDBPyConnection, binding: Binding, until: date) -> None:
    """One that would hold on no day any more is gone: it was a mistake, and no invoice knows it."""
    warehouse.execute(
        """
        UPDATE registry.accounts SET valid_until = $5
        WHERE tenant_id = $1 AND provider = $2 AND kind = $3 AND account_id = $4 AND valid_until IS NULL
        """,
        [binding.tenant_id, binding.provider, binding.kind, binding.account_id, until],
    )
    warehouse.execute(
        "DELETE FROM registry.accounts WHERE provider = $1 AND account_id = $2 AND valid_until <= valid_from",
        [binding.provider, binding.account_id],
    )
