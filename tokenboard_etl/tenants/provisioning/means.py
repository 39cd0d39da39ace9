"""What sagas work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb

from tokenboard_etl.tenants.key_ring import KeyRing
from tokenboard_etl.tenants.provisioning.orders import IssuedKey


@dataclass(frozen=True)
class Means:
    """The records and the vault of this machine. `alerts_to` are the recipients of spend alerts."""

    warehouse: duckdb.DuckDBPyConnection
    vault_path: Path
    ring: KeyRing
    now: Callable[[], datetime]
    alerts_to: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """Something at the provider that a lost request made: what to delete, and the key that came with it, if any."""

    object_id: str
    key: IssuedKey | None
