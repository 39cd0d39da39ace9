"""Tenants, their keys and their limits: what is on record here against what the providers and the vault really hold.

Records are read from the published file, so nothing waits for a lock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal

import duckdb

from tokenboard_etl.connections import Connection, ours
from tokenboard_etl.errors import ConfigurationError, TokenboardError, VaultError
from tokenboard_etl.extraction.asking import asking
from tokenboard_etl.findings import Finding, Level
from tokenboard_etl.money import from_minor
from tokenboard_etl.providers import openai_accounts, openai_changes, openai_entities, openrouter
from tokenboard_etl.reading.published import open_published
from tokenboard_etl.settings import Settings
from tokenboard_etl.tenants.key_ring import KeyRing
from tokenboard_etl.tenants.registry import ACTIVE
from tokenboard_etl.tenants.tenant_keys import stored_key_ids
from tokenboard_etl.tenants.vault import read_vault

_ROTATE = "`tokenboard tenants rotate {}` makes a new one"


@dataclass(frozen=True)
class _Order:
    tenant_id: str
    provider: str
    connection_id: str | None
    project_id: str | None
    limit_usd: Decimal | None
    state: str
    reason: str | None


@dataclass(frozen=True)
class _Key:
    tenant_id: str
    provider: str
    key_id: str
    is_retired: bool


@dataclass(frozen=True)
class _Records:
    """`names` and `status` by tenant id; `bound` are accounts that are or were somebody's, with their tenant."""

    names: dict[str, str]
    status: dict[str, str]
    bound: dict[tuple[str, str], str]
    orders: list[_Order]
    keys: list[_Key]


@dataclass
class _Live:
    """What a connection lists: projects and keys that can be used, by id with their names, and limits by account."""

    projects: dict[str, str] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    limits_usd: dict[str, Decimal | None] = field(default_factory=dict)


def inspect(settings: Settings) -> list[Finding]:
    """Unfinished work, orphans, keys that should be gone or are missing, limits that drifted, the vault."""
    found = list(_vault(settings))
    if not settings.published_path.exists():
        return found
    with open_published(settings.published_path) as published:
        records = _records(published)
    found += _unfinished(records)
    found += _unstored(settings, records)
    for connection in ours(settings):
        try:
            live = asyncio.run(_ask(connection, records))
        except TokenboardError as error:
            about = f"{connection.connection_id} tenants"
            found.append(Finding(Level.warning, about, f"keys and limits of tenants could not be looked at: {error}"))
            continue
        found += _orphans(connection, records, live)
        found += _keys(connection, records, live)
        found += _limits(connection, records, live)
    return found


def _vault(settings: Settings) -> Iterator[Finding]:
    if not settings.vault_path.exists():
        return
    try:
        with read_vault(settings.vault_path, KeyRing(settings.encryption_keys)) as vault:
            known = vault.secrets()
            for each in known:
                try:
                    vault.read(each.secret_id, each.owner, each.purpose)
                except (VaultError, ConfigurationError) as error:
                    yield Finding(Level.error, f"vault {each.secret_id}", str(error))
    except TokenboardError as error:
        yield Finding(Level.error, "vault", str(error))


def _unstored(settings: Settings, records: _Records) -> Iterator[Finding]:
    """Keys on record that the vault has lost: an earlier one was put back, or the file is gone."""
    stored = dict[tuple[str, str], set[str]]()
    with suppress(TokenboardError), read_vault(settings.vault_path, KeyRing(())) as vault:  # what ails it, _vault says
        for key in records.keys:
            owner = (key.tenant_id, key.provider)
            stored[owner] = stored.get(owner) or stored_key_ids(vault, *owner)
    for key in records.keys:
        if not key.is_retired and key.key_id not in stored.get((key.tenant_id, key.provider), {key.key_id}):
            what = f"the key {key.key_id} of {key.provider} is not in the vault; {_ROTATE.format(key.tenant_id)}"
            yield Finding(Level.error, key.tenant_id, what)


def _records(published: duckdb.DuckDBPyConnection) -> _Records:
    rows = published.execute("SELECT tenant_id, name, status FROM registry.tenants").fetchall()
    bound = published.execute("SELECT provider, account_id, tenant_id FROM registry.accounts ORDER BY valid_from")
    accounts = {(provider, account_id): tenant_id for provider, account_id, tenant_id in bound.fetchall()}
    orders = published.execute(
        """
        SELECT tenant_id, provider, connection_id, project_id, limit_usd, state, reason FROM registry.provisioning
        ORDER BY tenant_id, provider
        """
    ).fetchall()
    keys = published.execute(
        "SELECT tenant_id, provider, key_id, retired_at IS NOT NULL FROM registry.keys ORDER BY tenant_id, key_id"
    ).fetchall()
    return _Records(
        {tenant_id: name for tenant_id, name, _ in rows},
        {tenant_id: status for tenant_id, _, status in rows},
        accounts,
        [_Order(*row) for row in orders],
        [_Key(*row) for row in keys],
    )


def _unfinished(records: _Records) -> Iterator[Finding]:
    for order in records.orders:
        if order.state == "pending":
            what = f"pending at {order.provider}: {order.reason}. `tokenboard provision --pending` goes on from there"
            yield Finding(Level.warning, order.tenant_id, what)


async def _ask(connection: Connection, records: _Records) -> _Live:
    async with connection.client() as client:
        fetch = asking(client)
        if connection.provider == "openrouter":
            listed = await openrouter.key_list(fetch)
            usable = {each.hash: each.name for each in listed.values() if not each.disabled}
            return _Live(keys=usable, limits_usd={each.hash: each.limit for each in listed.values()})
        live = _Live()
        live.projects.update(
            {each.id: each.name or "" for each in await openai_entities.projects(fetch) if not each.is_archived}
        )
        for order in records.orders:
            project_id = order.project_id
            if project_id is not None and project_id in live.projects:
                live.keys.update({each.id: project_id for each in await openai_changes.keys_of(fetch, project_id)})
                limit = await openai_accounts.spend_limit(fetch, project_id)
                live.limits_usd[project_id] = from_minor(limit.threshold_amount, "USD") if limit else None
        return live


def _orphans(connection: Connection, records: _Records, live: _Live) -> Iterator[Finding]:
    """What bears a tenant's name and is nobody's here: a tenant who is complete needs no second one."""
    by_name = {name: tenant_id for tenant_id, name in records.names.items()}
    listed = live.projects if connection.provider == "openai" else live.keys
    for account_id, name in sorted(listed.items()):
        if name in by_name and (connection.provider, account_id) not in records.bound:
            yield Finding(
                Level.warning,
                connection.connection_id,
                f"{account_id} bears the name of {by_name[name]} and is unknown here: `tokenboard tenants adopt` it, "
                "or close it at the provider",
            )


def _keys(connection: Connection, records: _Records, live: _Live) -> Iterator[Finding]:
    """Keys of ours that are to be gone and are not, and the other way about."""
    provider, own = connection.provider, _of(connection, records)
    for key in records.keys:
        if key.provider != provider or key.tenant_id not in own:
            continue
        status = records.status.get(key.tenant_id, ACTIVE)
        if key.key_id in live.keys and (key.is_retired or status != ACTIVE):
            why = "is retired" if key.is_retired else f"belongs to a tenant who is {status}"
            what = f"the key {key.key_id} {why} and can still be used at {provider}: delete it there"
            yield Finding(Level.error, key.tenant_id, what)
        elif key.key_id not in live.keys and not key.is_retired and status == ACTIVE:
            what = f"the key {key.key_id} cannot be used at {provider} any more; {_ROTATE.format(key.tenant_id)}"
            yield Finding(Level.error, key.tenant_id, what)
    made = {key.key_id for key in records.keys}
    for key_id, parent in sorted(live.keys.items()):
        account = parent if provider == "openai" else key_id
        tenant_id = records.bound.get((provider, account))
        if tenant_id is not None and records.status.get(tenant_id, ACTIVE) != ACTIVE and key_id not in made:
            what = (
                f"is {records.status[tenant_id]} and the key {key_id} can still be used at {provider}: delete it there"
            )
            yield Finding(Level.error, tenant_id, what)


def _limits(connection: Connection, records: _Records, live: _Live) -> Iterator[Finding]:
    for order in _of(connection, records).values():
        if order.state != "ready" or order.limit_usd is None or records.status.get(order.tenant_id) != ACTIVE:
            continue
        ids: Sequence[str | None] = [order.project_id]
        if order.provider == "openrouter":
            ids = [key.key_id for key in records.keys if key.tenant_id == order.tenant_id and not key.is_retired]
        for account_id in ids:
            if account_id not in live.limits_usd or live.limits_usd[account_id] == order.limit_usd:
                continue
            actual = live.limits_usd[account_id]
            is_now = "none" if actual is None else f"{actual:.2f} USD"
            what = f"the limit at {order.provider} is {is_now} and not {order.limit_usd:.2f} USD: "
            what += f"`tokenboard tenants limit {order.tenant_id} USD` sets it"
            yield Finding(Level.warning, order.tenant_id, what)


def _of(connection: Connection, records: _Records) -> dict[str, _Order]:
    """Orders that were begun in a connection, by tenant."""
    return {order.tenant_id: order for order in records.orders if order.connection_id == connection.connection_id}
