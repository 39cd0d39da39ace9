"""The provider accounts that are read ("connections") and the client each one is read with."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pydantic import SecretStr

from tokenboard_etl.errors import ConfigurationError, KeyMissing, KeyRefused
from tokenboard_etl.http import Client
from tokenboard_etl.settings import Settings

Mode = Literal["organization", "personal"]


@dataclass(frozen=True)
class Connection:
    """One account at one provider. `connection_id` names it in tables and folders; the key never shows.

    All reports of an `organization` are read, of a `personal` account the credit balance alone. `tenant_id` is the
    tenant who brought the account; None if it is ours. The key of one that was `connected` stands in the vault.
    """

    connection_id: str
    provider: str
    base_url: str
    key: SecretStr
    headers: dict[str, str] = field(default_factory=dict)
    mode: Mode = "organization"
    tenant_id: str | None = None
    connected: bool = False

    @property
    def fingerprint(self) -> str:
        """Tells provider accounts apart without naming the key."""
        identity = [self.base_url, sorted(self.headers.items()), self.key.get_secret_value()]
        return hashlib.sha256(repr(identity).encode()).hexdigest()[:16]

    def advise(self, refusal: KeyRefused) -> KeyRefused:
        """The refusal with what helps this connection: no variable holds the key of one that was connected."""
        if not self.connected:
            return refusal
        tenant = f" --tenant {self.tenant_id}" if self.tenant_id else ""
        mode = f" --mode {self.mode}" if self.mode != "organization" else ""
        advice = (
            f"It is the key of {self.connection_id}. Give a new one of the same account to "
            f"`tokenboard connect --provider {self.provider}{tenant}{mode}`."
        )
        return KeyRefused(refusal.provider, refusal.endpoint, refusal.reason, advice)

    def client(self, slots: asyncio.Semaphore | None = None) -> Client:
        """A client to be used as an async context manager; `slots` are shared by all that talk to its host."""
        return Client(self.base_url, self.key, headers=self.headers, slots=slots)


def connections(settings: Settings, provider: str | None = None, mode: Mode = "organization") -> list[Connection]:
    """The connections of a mode (and of one provider): those of the environment, then those that were connected.

    Raises EncryptionKeyMissing or EncryptionKeyWrong where the vault holds some and its key is not given. Without a
    vault none is needed.
    """
    return _connections(settings, provider, (mode,))


def accounts(settings: Settings, provider: str | None = None) -> list[Connection]:
    """Organizations and personal accounts: each report is read by the connections of its mode."""
    return _connections(settings, provider, ("organization", "personal"))


def ours(settings: Settings) -> list[Connection]:
    """The organizations and accounts whose spend is billed; a tenant's own is shown, never invoiced."""
    return [connection for connection in connections(settings) if connection.tenant_id is None]


def base_url(settings: Settings, provider: str) -> str:
    """Where a provider is reached; the same for all its connections."""
    return {"openai": settings.openai_base_url, "openrouter": settings.openrouter_base_url}[provider]


def require_connections(settings: Settings) -> list[Connection]:
    """The configured connections; raises KeyMissing if there are none."""
    found = connections(settings)
    if not found:
        hint = (
            " OPENAI_API_KEY is set, but only a key that starts with sk-admin- can read costs."
            if settings.openai_api_key
            else ""
        )
        raise KeyMissing(
            "No provider is configured, so there is nothing to read. Set OPENAI_ADMIN_KEY (sk-admin-...) or "
            f"OPENROUTER_MANAGEMENT_KEY, or run `tokenboard demo`, which needs neither.{hint}"
        )
    return found


def refuse_other_kinds(key: SecretStr, provider: str, mode: Mode, holder: str, advice: str) -> None:
    """Keys show their kind in their first letters: one that cannot read the account is not even sent."""
    other = _OTHER_KINDS[provider, mode]
    if kind := next((each for each in other if key.get_secret_value().startswith(each)), None):
        raise KeyRefused(provider, "administration", f"{holder} holds {other[kind]} ({kind}...)", advice)


_OTHER_KINDS = {
    ("openai", "organization"): {
        "sk-proj-": "a project key",
        "sk-svcacct-": "a service account key",
        "sess-": "a session key",
        "sk-or-": "a key of OpenRouter",
    },
    ("openai", "personal"): {"sk-or-": "a key of OpenRouter"},
    ("openrouter", "organization"): {
        "sk-admin-": "a key of OpenAI",
        "sk-proj-": "a key of OpenAI",
        "sk-svcacct-": "a key of OpenAI",
    },
}


def _connections(settings: Settings, provider: str | None, modes: Sequence[Mode]) -> list[Connection]:
    """Those of the first mode, then those of the second; the vault is opened once for all."""
    known = [*_from_environment(settings), *_from_vault(settings, modes)]
    by_mode = [[each for each in known if each.mode == mode and provider in (None, each.provider)] for mode in modes]
    for found in by_mode:
        _refuse_twins(found)
    return [each for found in by_mode for each in found]


def _from_environment(settings: Settings) -> Iterator[Connection]:
    if settings.admin_key:
        refuse_other_kinds(
            settings.admin_key,
            "openai",
            "organization",
            "OPENAI_ADMIN_KEY",
            "Create an admin key (sk-admin-...) as an organization owner and set that.",
        )
        organization = {"OpenAI-Organization": settings.openai_org_id} if settings.openai_org_id else {}
        yield Connection("openai", "openai", settings.openai_base_url, settings.admin_key, organization)
    if key := settings.openrouter_management_key:
        yield Connection("openrouter", "openrouter", settings.openrouter_base_url, key)
    if key := settings.openai_personal_key:
        yield Connection("openai-personal", "openai", settings.openai_base_url, key, mode="personal")


def _from_vault(settings: Settings, modes: Sequence[Mode]) -> list[Connection]:
    if not settings.vault_path.exists():
        return []
    from tokenboard_etl.tenants.key_ring import KeyRing  # most homes have no vault, and need none of this
    from tokenboard_etl.tenants.stored_connections import key_of, stored_connections
    from tokenboard_etl.tenants.vault import read_vault

    with read_vault(settings.vault_path, KeyRing(settings.encryption_keys)) as vault:
        known = stored_connections(vault)
        read = [(stored, mode, key_of(vault, stored)) for mode in modes for stored in known if stored.mode == mode]
    return [
        Connection(
            stored.connection_id,
            stored.provider,
            base_url(settings, stored.provider),
            key,
            mode=mode,
            tenant_id=stored.tenant_id,
            connected=True,
        )
        for stored, mode, key in read
    ]


def _refuse_twins(found: Sequence[Connection]) -> None:
    """One account under two names would be billed twice."""
    names = dict[str, str]()
    for each in found:
        if (other := names.setdefault(each.key.get_secret_value(), each.connection_id)) != each.connection_id:
            raise ConfigurationError(
                f"{other} and {each.connection_id} are read with the same key, so the same account would be counted "
                f"twice. The first one's key comes from the environment: set another there, or none."
            )
