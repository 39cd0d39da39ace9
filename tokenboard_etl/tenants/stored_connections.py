"""Connected provider accounts, in the vault beside their keys.

They stand there and not in the warehouse so that record and key are stored or lost together, and so that extraction
needs no warehouse, which another process may be writing.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import astuple, dataclass, replace
from datetime import datetime
from itertools import count

from pydantic import SecretStr

from tokenboard_etl.tenants.vault import Vault

RESERVED_IDS = frozenset({"openai", "openrouter", "openai-personal"})
"""The connections of the environment."""


@dataclass(frozen=True)
class StoredConnection:
    """The record of one; `tenant_id` is the tenant who brought the account, None if it is ours.

    `account_ids` are objects no other account has, so that a further key of the account is known as one.
    """

    connection_id: str
    provider: str
    mode: str
    tenant_id: str | None
    created_at: datetime
    account_ids: tuple[str, ...] = ()

    @property
    def secret_id(self) -> str:
        return f"connection/{self.connection_id}"

    @property
    def purpose(self) -> str:
        """Authenticated with the key: it is never sent to another provider than it was connected for."""
        return f"connection {self.provider} {self.mode}"


def stored_connections(vault: Vault) -> list[StoredConnection]:
    """All of them, oldest first."""
    rows = vault.database.execute(
        """
        SELECT connection_id, provider, mode, tenant_id, created_at, account_ids
        FROM connections ORDER BY created_at, connection_id
        """
    ).fetchall()
    return [
        StoredConnection(connection_id, provider, mode, tenant_id, created_at, tuple(account_ids))
        for connection_id, provider, mode, tenant_id, created_at, account_ids in rows
    ]


def key_of(vault: Vault, stored: StoredConnection) -> SecretStr:
    """The key it is read with."""
    return vault.read(stored.secret_id, stored.tenant_id, stored.purpose)


def add_connection(
    vault: Vault,
    provider: str,
    mode: str,
    tenant_id: str | None,
    key: SecretStr,
    now: datetime,
    account_ids: Collection[str] = (),
) -> StoredConnection:
    """Stores a connection and its key under a new id."""
    taken = RESERVED_IDS | {stored.connection_id for stored in stored_connections(vault)}
    new_id = _free_id(taken, provider, mode, tenant_id)
    added = StoredConnection(new_id, provider, mode, tenant_id, now, tuple(sorted(account_ids)))
    vault.database.execute("INSERT INTO connections VALUES ($1, $2, $3, $4, $5, $6)", list(astuple(added)))
    vault.store(added.secret_id, tenant_id, added.purpose, key, now)
    return added


def replace_key(
    vault: Vault, stored: StoredConnection, key: SecretStr, now: datetime, account_ids: Collection[str]
) -> StoredConnection:
    """From now on the account is read with this key; the one before is gone from the vault."""
    renewed = replace(stored, account_ids=tuple(sorted(account_ids)))
    vault.database.execute(
        "UPDATE connections SET account_ids = $2 WHERE connection_id = $1",
        [stored.connection_id, list(renewed.account_ids)],
    )
    vault.delete(stored.secret_id)
    vault.store(stored.secret_id, stored.tenant_id, stored.purpose, key, now)
    return renewed


def _free_id(taken: frozenset[str] | set[str], provider: str, mode: str, tenant_id: str | None) -> str:
    """`openai-acme` for a tenant, `openai-2` for us; a number is added where that is taken."""
    parts = (provider, tenant_id, "personal" if mode == "personal" else None)
    base = "-".join(part for part in parts if part)
    candidates = (base if number == 1 else f"{base}-{number}" for number in count(1))
    return next(each for each in candidates if each not in taken)
