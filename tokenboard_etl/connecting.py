"""`connect`: finds out what a key is and what it may read by asking its provider, then stores it encrypted."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from pydantic import SecretStr

from tokenboard_etl.connections import Connection, Mode, base_url, connections, refuse_other_kinds
from tokenboard_etl.errors import KeyRefused, TokenboardError, WrongUse
from tokenboard_etl.extraction.asking import asking
from tokenboard_etl.periods import Window, utc_day
from tokenboard_etl.providers import openai, openai_accounts, openai_entities, openrouter
from tokenboard_etl.providers.wire import Fetch
from tokenboard_etl.settings import Settings
from tokenboard_etl.tenants.key_ring import KeyRing
from tokenboard_etl.tenants.stored_connections import (
    RESERVED_IDS,
    add_connection,
    key_of,
    replace_key,
    stored_connections,
)
from tokenboard_etl.tenants.vault import change_vault

log = logging.getLogger("tokenboard.connect")

_ADVICE = {
    ("openai", "organization"): "Nothing was stored. It must be an admin key (sk-admin-...) of an organization owner "
    "with the scope api.usage.read that may also list projects, by which accounts are told apart.",
    ("openai", "personal"): "Nothing was stored. Balances are told to browser sessions and some old user keys only.",
    ("openrouter", "organization"): "Nothing was stored. It must be a management key that is not disabled "
    "(openrouter.ai/settings/management-keys).",
}


@dataclass(frozen=True)
class Findings:
    """What a provider said about a key. `account_ids` are objects no other account has; `no_account` says why none are
    known.
    """

    may_read: tuple[str, ...]
    account_ids: frozenset[str]
    key_name: str | None = None
    expires_at: datetime | None = None
    no_account: KeyRefused | None = None


@dataclass(frozen=True)
class Connected:
    """A connection that was stored, and what it may read. `renewed`: it was known and has a new key now."""

    connection: Connection
    findings: Findings
    renewed: bool


def connect(settings: Settings, provider: str, mode: Mode, tenant_id: str | None, key: SecretStr) -> Connected:
    """Examines the key and stores it; a new key of an account that was connected takes the place of the earlier one.

    Raises KeyRefused, or WrongUse if the account is that of the environment or of somebody else.
    """
    ring = KeyRing(settings.encryption_keys)
    ring.require()
    refuse_other_kinds(key, provider, mode, "what was given", _ADVICE[provider, mode])
    asked = Connection("", provider, base_url(settings, provider), key, mode=mode, tenant_id=tenant_id)
    others = connections(settings, provider, mode)
    _refuse_known_key(key, {other.connection_id: other.key for other in others})
    try:
        findings = asyncio.run(examine(asked, settings.now))
        if findings.no_account is not None:
            raise findings.no_account
    except KeyRefused as refusal:
        advice = _ADVICE[provider, mode]
        raise KeyRefused(refusal.provider, refusal.endpoint, refusal.reason, advice, refusal.request_id) from None
    _refuse_account_of(findings.account_ids, [each for each in others if each.connection_id in RESERVED_IDS])
    with change_vault(settings.vault_path, ring) as vault:
        known = [each for each in stored_connections(vault) if (each.provider, each.mode) == (provider, mode)]
        _refuse_known_key(key, {each.connection_id: key_of(vault, each) for each in known})  # connected meanwhile
        same = next((each for each in known if findings.account_ids & set(each.account_ids)), None)
        if same is None:
            stored = add_connection(vault, provider, mode, tenant_id, key, settings.now, findings.account_ids)
        elif same.tenant_id == tenant_id:
            stored = replace_key(vault, same, key, settings.now, findings.account_ids)
        else:
            raise _known_account(provider, same.connection_id)
    return Connected(replace(asked, connection_id=stored.connection_id), findings, renewed=same is not None)


def _refuse_known_key(key: SecretStr, known: dict[str, SecretStr]) -> None:
    for connection_id, other in known.items():
        if other == key:
            raise WrongUse(f"This key is connected already, as {connection_id}. Nothing was stored.")


def _refuse_account_of(account_ids: frozenset[str], others: Sequence[Connection]) -> None:
    """Two keys of one account would count its costs twice. An account that cannot be asked now is let pass."""
    for other in others:
        try:
            theirs = asyncio.run(_account_of(other))
        except TokenboardError as error:
            said = other.advise(error) if isinstance(error, KeyRefused) else error
            log.warning("whether this is the account of %s cannot be known: %s", other.connection_id, said)
            continue
        if account_ids & theirs:
            raise _known_account(other.provider, other.connection_id)


def _known_account(provider: str, connection_id: str) -> WrongUse:
    return WrongUse(
        f"This key belongs to the same {provider} account as {connection_id}; its costs would be counted twice. "
        "Nothing was stored."
    )


async def _account_of(connection: Connection) -> frozenset[str]:
    async with connection.client() as client:
        return await _account_ids(asking(client), connection)


async def examine(connection: Connection, now: datetime) -> Findings:
    """Asks the provider what the key is and may read; raises KeyRefused if it may not read what is billed from.

    A key of OpenAI that may not list projects is good for every bill, and tells nothing about its account.
    """
    async with connection.client() as client:
        fetch = asking(client)
        if connection.mode == "personal":
            return Findings(("credit balance",), await _account_ids(fetch, connection))
        if connection.provider == "openrouter":
            await openrouter.check_key(fetch)
            account_ids = await _account_ids(fetch, connection)
            return Findings((f"keys, credits and analytics of {len(account_ids)} workspace(s)",), account_ids)
        yesterday = utc_day(now) - timedelta(days=1)
        await openai.costs_total(fetch, Window.of_days(yesterday, yesterday))
        try:
            account_ids = await _account_ids(fetch, connection)
        except KeyRefused as refusal:
            return Findings(("costs and usage",), frozenset(), no_account=refusal)
        findings = Findings(("costs and usage", f"{len(account_ids)} project(s)"), account_ids)
        try:
            own = _own_record(await openai_accounts.admin_keys(fetch), connection.key)
        except KeyRefused:
            return findings
        findings = replace(findings, may_read=(*findings.may_read, "admin keys"))
        if own is None:
            return findings
        expires_at = None if own.expires_at is None else datetime.fromtimestamp(own.expires_at, UTC)
        return replace(findings, key_name=own.name, expires_at=expires_at)


async def _account_ids(fetch: Fetch, connection: Connection) -> frozenset[str]:
    """Ids that only this account has: projects, workspaces, or credit grants."""
    if connection.mode == "personal":
        return frozenset(grant.id for grant in (await openai_accounts.credit_grants(fetch)).grants.data)
    if connection.provider == "openrouter":
        return frozenset(workspace.id for workspace in await openrouter.workspaces(fetch))
    return frozenset(project.id for project in await openai_entities.projects(fetch))


def _own_record(keys: Sequence[openai_accounts.AdminKey], key: SecretStr) -> openai_accounts.AdminKey | None:
    """The one record whose visible characters are this key's; None if there is none, or more than one."""
    text = key.get_secret_value()
    fitting = []
    for each in keys:
        head, _, tail = re.sub(r"(\.{2,}|\*+|…)", "\0", each.redacted_value, count=1).partition("\0")
        if len(tail) >= 3 and text.startswith(head) and text.endswith(tail):
            fitting.append(each)
    return fitting[0] if len(fitting) == 1 else None
