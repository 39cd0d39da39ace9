"""The OpenRouter account: two workspaces, more keys than a page holds, the streams of spend behind them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256

from tokenboard_etl.providers.sandbox.catalog import ROUTED_MODELS, RoutedModel
from tokenboard_etl.providers.sandbox.draws import between, code, draw, hexadecimal, uuid
from tokenboard_etl.providers.sandbox.meters import Meter
from tokenboard_etl.providers.sandbox.tenants import PROFILES

MEMBERS = (
    ("user_2xSandboxOwner", "Ana", "Souza", "org:admin"),
    ("user_2xSandboxOps", "Björn", None, "org:member"),
)
SHARED_NAME = "shared-name"
_KEYS = 130
_DEFAULT_WORKSPACE_KEYS = 112
_UNBOUND_EVERY = 13
_APPS = (
    "chat",
    "search",
    "=HYPERLINK(1)",
    "summarise <em>",
    "agents",
    'quote"d',
    "'; DELETE--",
    "übersetzung",
)


@dataclass(frozen=True, slots=True)
class Workspace:
    """A division of the account; keys of the default one are listed when none is named."""

    id: str
    name: str
    slug: str


@dataclass(frozen=True, slots=True)
class RouterKey:
    """An inference key. `value` is the secret, `hash` its SHA-256 and public id."""

    hash: str
    value: str
    name: str
    workspace_id: str
    tenant_id: str | None
    created_at: datetime
    disabled_on: date | None
    limit_usd: int | None


@dataclass(frozen=True, slots=True)
class RouterStream:
    """Spend of one key (None: chat room, deleted keys) with one model; `byok`: on own provider keys."""

    meter: Meter
    key_hash: str | None
    workspace_id: str
    model: RoutedModel
    endpoint_id: str
    byok: bool


@dataclass(frozen=True, slots=True)
class RouterAccount:
    workspaces: tuple[Workspace, ...]
    keys: tuple[RouterKey, ...]
    streams: tuple[RouterStream, ...]


def build_account(seed: int, scale: int) -> RouterAccount:
    workspaces = (
        Workspace(uuid(seed, "workspace", 0), "Default", "default"),
        Workspace(uuid(seed, "workspace", 1), "Labs & R<D>", "labs"),
    )
    keys = tuple(_key(seed, n, n % _KEYS, workspaces) for n in range(_KEYS * scale))
    streams = [stream for n, key in enumerate(keys) for stream in _streams_of(seed, n, key)]
    for n, model in enumerate(ROUTED_MODELS[:3]):
        meter = Meter(f"keyless:{n}", 40, 1, 100, idle=40)
        streams.append(RouterStream(meter, None, workspaces[0].id, model, endpoint_of(seed, model), byok=False))
    return RouterAccount(workspaces, keys, tuple(streams))


def endpoint_of(seed: int, model: RoutedModel) -> str:
    """The id of a model's endpoint at its upstream."""
    return uuid(seed, "endpoint", model.permaslug, model.provider)


def _key(seed: int, n: int, place: int, workspaces: tuple[Workspace, ...]) -> RouterKey:
    value = f"sk-or-v1-SANDBOX-{hexadecimal(40, seed, 'router key', n)}"
    profile = None if n % _UNBOUND_EVERY == _UNBOUND_EVERY - 1 else PROFILES[n % len(PROFILES)]
    created = datetime(2023, 11, 1, tzinfo=UTC) + timedelta(hours=7 * (n % 190), minutes=n)
    if n % 9 == 8:
        created = datetime(2024, 1, 10, tzinfo=UTC) + timedelta(days=between(0, 900, seed, "created", n), minutes=n)
    owner = profile.tenant_id if profile else "internal"
    name = SHARED_NAME if n in (20, 33, 71) else f"{owner}/{_APPS[n // len(PROFILES) % len(_APPS)]}-{n}"
    return RouterKey(
        hash=sha256(value.encode()).hexdigest(),
        value=value,
        name=name,
        workspace_id=workspaces[0 if place < _DEFAULT_WORKSPACE_KEYS else 1].id,
        tenant_id=profile.tenant_id if profile else None,
        created_at=created,
        disabled_on=date(2026, 1, 10) if n % 21 == 5 else None,
        limit_usd=between(2, 40, seed, "limit", n) * 50 if n % 4 == 1 else None,
    )


def _streams_of(seed: int, n: int, key: RouterKey) -> Iterator[RouterStream]:
    profile = PROFILES[n % len(PROFILES)]
    first = draw(seed, key.hash, "model")
    for number in range(2):
        model = ROUTED_MODELS[(first + 3 * number) % len(ROUTED_MODELS)]
        name = f"{key.hash[:16]}:{number}"
        meter = Meter(
            name=name,
            monthly_requests=between(40, 160, seed, name) * (profile.size + 20) // 30,
            growth_percent=profile.growth_percent,
            weekend_percent=profile.weekend_percent,
            idle=77,
            first_day=max(date(2024, 1, 1), key.created_at.date()),
            last_day=date.max if key.disabled_on is None else key.disabled_on,
        )
        byok = n % 11 == 3 and model.provider in ("OpenAI", "Azure", "Anthropic")
        yield RouterStream(meter, key.hash, key.workspace_id, model, endpoint_of(seed, model), byok)


def inference_label(value: str, key_hash: str) -> str:
    """The redacted form of a key: its scheme and a few characters, never enough to use it."""
    return f"{value[:9]}{code(3, key_hash)}...{value[-3:]}"
