"""Accounts that belong to a tenant by their name: bound without asking only where no other reading is possible."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime

import duckdb

from tokenboard_etl.tenants.names import name_key
from tokenboard_etl.tenants.registry import ACTIVE, Binding, Tenant, bind, rerate_open_months, tenants
from tokenboard_etl.warehouse.connection import transaction

log = logging.getLogger("tokenboard.learning")


@dataclass(frozen=True)
class Account:
    """A project or an OpenRouter key as its provider lists it. `since` is the day it was made, else first seen."""

    provider: str
    kind: str
    account_id: str
    name: str
    status: str
    since: date


def learn(warehouse: duckdb.DuckDBPyConnection, now: datetime) -> list[Binding]:
    """Binds every account that can be one tenant's only, in one transaction; returns what was bound.

    ops.accounts must be as of the newest lists.
    """
    with transaction(warehouse):
        learned = list(_readings(warehouse))
        for binding in learned:
            bind(warehouse, binding, now)
            rerate_open_months(warehouse, since=binding.valid_from)
    for each in learned:
        log.info("%s %s %s is %s's from %s, by its name", *_words(each))
    return learned


def first_open_day(warehouse: duckdb.DuckDBPyConnection, tenant_id: str) -> date:
    """The day after the last month that is closed for everybody or for this tenant."""
    ((day,),) = warehouse.execute(
        """
        SELECT CAST(max(CAST(month || '-01' AS DATE)) + INTERVAL 1 MONTH AS DATE) FROM billing.closed_months
        WHERE tenant_id IS NULL OR tenant_id = $1
        """,
        [tenant_id],
    ).fetchall()
    return day or date.min


def _readings(warehouse: duckdb.DuckDBPyConnection) -> Iterator[Binding]:
    """One account and one tenant bear the name or id, exactly, and neither has anybody else at the provider.

    A second bearer in another case or Unicode form is one too many. Where something is made for the tenant, or is to
    be, an account of its name may be what a lost request made: that is for provisioning to find out.
    """
    bearers: dict[str, list[Tenant]] = defaultdict(list)
    for tenant in tenants(warehouse):
        for key in {name_key(tenant.name), name_key(tenant.tenant_id)}:
            bearers[key].append(tenant)
    namesakes: dict[tuple[str, str], list[Account]] = defaultdict(list)
    for account in _accounts(warehouse):
        namesakes[account.provider, name_key(account.name)].append(account)
    taken = set(
        warehouse.execute(
            """
            SELECT provider, tenant_id FROM registry.accounts
            UNION SELECT provider, account_id FROM registry.accounts
            UNION SELECT provider, tenant_id FROM registry.provisioning
            """
        ).fetchall()
    )
    for (provider, key), accounts in namesakes.items():
        if len(accounts) != 1 or len(bearers[key]) != 1:
            continue
        (account,), (tenant,) = accounts, bearers[key]
        exact = account.name in (tenant.name, tenant.tenant_id)
        free = not taken & {(provider, tenant.tenant_id), (provider, account.account_id)}
        if exact and free and tenant.status == ACTIVE and account.status == "active":
            since = max(account.since, first_open_day(warehouse, tenant.tenant_id))
            yield Binding(tenant.tenant_id, provider, account.kind, account.account_id, since)


def _accounts(warehouse: duckdb.DuckDBPyConnection) -> list[Account]:
    """Those of tenants' own connections are left out: nothing on them is a cost of ours."""
    rows = warehouse.execute(
        """
        SELECT provider, kind, account_id, name, status, CAST(coalesce(created_at, first_seen) AS DATE)
        FROM ops.accounts
        WHERE kind IN ('project', 'key') AND name IS NOT NULL
            AND connection_id NOT IN (SELECT connection_id FROM registry.connections WHERE tenant_id IS NOT NULL)
        ORDER BY provider, account_id
        """
    ).fetchall()
    return [Account(*row) for row in rows]


def _words(binding: Binding) -> tuple[object, ...]:
    return binding.provider, binding.kind, binding.account_id, binding.tenant_id, binding.valid_from
