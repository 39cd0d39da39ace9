"""Tenants' own keys in the vault. Tenant, provider and key id are authenticated with each (see vault.py)."""

from __future__ import annotations

from datetime import datetime

from pydantic import SecretStr

from tokenboard_etl.tenants.vault import Vault


def store_key(vault: Vault, tenant_id: str, provider: str, key_id: str, key: SecretStr, now: datetime) -> None:
    """Adds a key; one of that id that is there already is refused."""
    vault.store(_secret_id(tenant_id, provider, key_id), tenant_id, _purpose(provider), key, now)


def read_key(vault: Vault, tenant_id: str, provider: str, key_id: str) -> SecretStr:
    """The key; raises VaultError if there is none, SecretAltered if it is not the one that was stored there."""
    return vault.read(_secret_id(tenant_id, provider, key_id), tenant_id, _purpose(provider))


def delete_key(vault: Vault, tenant_id: str, provider: str, key_id: str) -> bool:
    """Removes a key; False if there was none."""
    return vault.delete(_secret_id(tenant_id, provider, key_id))


def stored_key_ids(vault: Vault, tenant_id: str, provider: str) -> set[str]:
    """Which keys of a tenant at a provider are stored."""
    prefix = _secret_id(tenant_id, provider, "")
    return {known.secret_id.removeprefix(prefix) for known in vault.secrets() if known.secret_id.startswith(prefix)}


def _secret_id(tenant_id: str, provider: str, key_id: str) -> str:
    return f"tenant/{tenant_id}/{provider}/{key_id}"


def _purpose(provider: str) -> str:
    return f"key {provider}"
