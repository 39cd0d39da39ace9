"""Holding the tables of two homes against each other, to the last digit."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import duckdb

from chaos.command import Home

OF_THE_RUN = frozenset({"load_id", "manifest_sha256", "main.migrations.applied_at"})
"""What two runs over the same figures may differ in: names drawn for loads, the checksums of manifests that say these
names, and the host's clock at a migration.
The command's own clock stands still, so every other instant must be equal."""

OF_THE_PAGES = frozenset({"ops.loads.pages", "ops.loads.bytes", "ops.loads.sha256"})
"""What describes the bodies a load consists of, and so depends on how many pages it was asked in."""

OF_ANOTHER_READING = frozenset({"ops.loads", "ops.load_days", "ops.source_days.loads"})
"""What says how often the same days were read: a run that failed late is repeated from the beginning."""

Rows = list[tuple[Any, ...]]


def tables_of(file: Path, but: Collection[str] = OF_THE_RUN) -> dict[str, Rows]:
    """Every table, sorted, without what is named in `but`: `column` anywhere, `schema.table.column`, `schema.table`."""
    with duckdb.connect(file, read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        columns: dict[str, list[str]] = {}
        for schema, table, column in connection.execute(
            "SELECT schema_name, table_name, column_name FROM duckdb_columns() "
            "WHERE (schema_name, table_name) IN (SELECT (schema_name, table_name) FROM duckdb_tables()) "
            "ORDER BY ALL"
        ).fetchall():
            if f"{schema}.{table}" in but:
                continue
            kept = columns.setdefault(f"{schema}.{table}", [])
            if not {column, f"{schema}.{table}.{column}"} & set(but):
                kept.append(f'"{column}"')
        return {
            table: connection.execute(f"SELECT {', '.join(kept)} FROM {table} ORDER BY ALL").fetchall()
            for table, kept in columns.items()
        }


def differences(
    home: Home, undisturbed: Home, but: Collection[str] = OF_THE_RUN, among: Collection[str] = ()
) -> list[str]:
    """What is not equal in the published file or the warehouse, a line per table; of some tables, or of all."""
    found = []
    for ours, theirs in zip(home.tables, undisturbed.tables, strict=True):
        if not ours.exists():
            found.append(f"{ours.name} is missing")
            continue
        here, there = tables_of(ours, but), tables_of(theirs, but)
        found += [
            f"{ours.name} {table} differs: {len(here.get(table, []))} rows, undisturbed {len(there.get(table, []))}"
            for table in sorted(among or here.keys() | there.keys())
            if here.get(table) != there.get(table)
        ]
    return found
