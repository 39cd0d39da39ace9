"""What the OpenRouter side remembers between requests: keys made, changed and deleted, workspaces, budgets."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from hashlib import sha256

from tokenboard_etl.providers.sandbox.draws import hexadecimal
from tokenboard_etl.providers.sandbox.router_account import (
    MEMBERS,
    RouterAccount,
    RouterKey,
    Workspace,
    inference_label,
)


@dataclass(slots=True)
class KeyState:
    """A key as it is now. `disabled_on` disables a seeded key from a date on, `disabled` by request."""

    hash: str
    name: str
    label: str
    workspace_id: str
    created_at: datetime
    creator_user_id: str | None = MEMBERS[0][0]
    limit: Decimal | None = None
    limit_reset: str | None = None
    include_byok_in_limit: bool = False
    expires_at: str | None = None
    updated_at: datetime | None = None
    disabled: bool | None = None
    disabled_on: date | None = None

    def is_disabled(self, now: datetime) -> bool:
        if self.disabled is not None:
            return self.disabled
        return self.disabled_on is not None and now >= datetime.combine(self.disabled_on, time(), UTC)

    def is_expired(self, now: datetime) -> bool:
        return self.expires_at is not None and now >= datetime.fromisoformat(self.expires_at)


@dataclass(slots=True)
class AccountState:
    """The account with everything that requests changed. Secrets are kept as hashes only."""

    seed: int
    account: RouterAccount
    keys: dict[str, KeyState] = field(init=False)
    _created: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.keys = {key.hash: _key_state(key) for key in self.account.keys}

    @property
    def workspaces(self) -> tuple[Workspace, ...]:
        return self.account.workspaces

    def workspace(self, id_or_slug: str) -> Workspace | None:
        return next((w for w in self.workspaces if id_or_slug in (w.id, w.slug)), None)

    def by_value(self, value: str) -> KeyState | None:
        return self.keys.get(sha256(value.encode()).hexdigest())

    def create(self, name: str, workspace_id: str, now: datetime) -> tuple[KeyState, str]:
        """A new key and its secret, which exists only in the answer."""
        self._created += 1
        value = f"sk-or-v1-SANDBOX-{hexadecimal(40, self.seed, 'created key', self._created)}"
        key_hash = sha256(value.encode()).hexdigest()
        key = KeyState(key_hash, name, inference_label(value, key_hash), workspace_id, now)
        self.keys[key_hash] = key
        return key, value


def _key_state(key: RouterKey) -> KeyState:
    return KeyState(
        hash=key.hash,
        name=key.name,
        label=inference_label(key.value, key.hash),
        workspace_id=key.workspace_id,
        created_at=key.created_at,
        limit=None if key.limit_usd is None else Decimal(key.limit_usd),
        limit_reset=None if key.limit_usd is None else "monthly",
        disabled_on=key.disabled_on,
    )
