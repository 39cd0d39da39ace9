"""Whose account each connection is, as a record in the warehouse."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb

from tokenboard_etl.periods import Month
from tokenboard_etl.settings import Settings
from tokenboard_etl.tenants.key_ring import KeyRing
from tokenboard_etl.tenants.stored_connections import stored_connections
from tokenboard_etl.tenants.vault import read_vault
from tokenboard_etl.warehouse.connection import transaction
from tokenboard_etl.warehouse.loads import mark_months

Known = tuple[str, str, str, str | None]


def record_connections(warehouse: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Adds connections that are not on record; a record is never changed, because an id is never given twice."""
    rows = warehouse.execute("SELECT connection_id FROM registry.connections").fetchall()
    new = [known for known in _known(settings) if (known[0],) not in rows]
    if not new:
        return
    with transaction(warehouse):
        for known in new:
            warehouse.execute("INSERT INTO registry.connections VALUES ($1, $2, $3, $4, $5)", [*known, settings.now])
        months = warehouse.execute(
            "SELECT DISTINCT usage_date FROM ops.load_days WHERE list_contains($1::VARCHAR[], connection_id)",
            [[known[0] for known in new]],
        ).fetchall()
        mark_months(warehouse, {str(Month.of(day)) for (day,) in months})


def _known(settings: Settings) -> Iterator[Known]:
    yield ("openai", "openai", "organization", None)
    yield ("openrouter", "openrouter", "organization", None)
    yield ("openai-personal", "openai", "personal", None)
    if settings.vault_path.exists():
        with read_vault(settings.vault_path, KeyRing(())) as vault:  # records only: no key is needed for them
            for stored in stored_connections(vault):
                yield (stored.connection_id, stored.provider, stored.mode, stored.tenant_id)
