"""The provider accounts that are read ("connections") and the client each one is read with."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field
from typing import Literal

from pydantic import SecretStr

from tokenboard_etl.errors import KeyMissing, KeyRefused
from tokenboard_etl.http import Client
from tokenboard_etl.settings import Settings

Mode = Literal["organization", "personal"]


@dataclass(frozen=True)
class Connection:
    """One account at one provider. `connection_id` names it in tables and folders; the key never shows.

    All reports of an `organization` are read, of a `personal` account the credit balance alone.
    """

    connection_id: str
    provider: str
    base_url: str
    key: SecretStr
    headers: dict[str, str] = field(default_factory=dict)
    mode: Mode = "organization"

    @property
    def fingerprint(self) -> str:
        """Tells provider accounts apart without naming the key."""
        identity = [self.base_url, sorted(self.headers.items()), self.key.get_secret_value()]
        return hashlib.sha256(repr(identity).encode()).hexdigest()[:16]

    def client(self, slots: asyncio.Semaphore | None = None) -> Client:
        """A client to be used as an async context manager; `slots` are shared by all that talk to its host."""
        return Client(self.base_url, self.key, headers=self.headers, slots=slots)


def connections(settings: Settings, provider: str | None = None, mode: Mode = "organization") -> list[Connection]:
    """The configured connections of a mode (and of one provider); the default one bears the provider's name."""
    found = []
    if settings.admin_key:
        _refuse_other_kinds(settings.admin_key)
        organization = {"OpenAI-Organization": settings.openai_org_id} if settings.openai_org_id else {}
        found.append(Connection("openai", "openai", settings.openai_base_url, settings.admin_key, organization))
    if key := settings.openrouter_management_key:
        found.append(Connection("openrouter", "openrouter", settings.openrouter_base_url, key))
    if key := settings.openai_personal_key:
        found.append(Connection("openai-personal", "openai", settings.openai_base_url, key, mode="personal"))
    return [each for each in found if each.mode == mode and provider in (None, each.provider)]


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


def _refuse_other_kinds(key: SecretStr) -> None:
    """OpenAI's key kinds show in their first letters; a project key cannot read costs, so it is not even sent."""
    for prefix, kind in (("sk-proj-", "project"), ("sk-svcacct-", "service account"), ("sess-", "session")):
        if key.get_secret_value().startswith(prefix):
            raise KeyRefused(
                "openai",
                "administration",
                f"OPENAI_ADMIN_KEY holds a {kind} key ({prefix}...)",
                "Create an admin key (sk-admin-...) as an organization owner and set that.",
            )
