"""Everything derived, made again from the landed bytes alone: no network, and equal tables.

Records stay what they are: loads, registry, margin rules, restatements, issued invoices.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import duckdb

from tokenboard_etl.errors import LandingDamaged
from tokenboard_etl.landing import Landing, read_landing
from tokenboard_etl.warehouse.connection import transaction
from tokenboard_etl.warehouse.gone_keys import leave_gone_keys
from tokenboard_etl.warehouse.live import LIVE_REPORTS, replace_instants, replaced_loads
from tokenboard_etl.warehouse.load import raw_table, replace_window, stage
from tokenboard_etl.warehouse.models import build_within
from tokenboard_etl.warehouse.pages import exposed
from tokenboard_etl.warehouse.sql_files import names_in, quoted

log = logging.getLogger("tokenboard.rebuild")


@dataclass(frozen=True)
class Share:
    """What a load still stands for: the days of which it is the newest read; None for a snapshot's own day."""

    load_id: str
    connection_id: str
    provider: str
    report: str
    days: list[date]
    is_snapshot: bool

    def folder(self, root: Path) -> Path:
        return root / self.connection_id / self.report / self.load_id


def newest_shares(connection: duckdb.DuckDBPyConnection) -> list[Share]:
    """The loads that the raw tables are made of, oldest first."""
    rows = connection.execute(
        """
        WITH day_reads AS (
            SELECT load_id, connection_id, provider, report, usage_date AS day, started_at, false AS is_snapshot
            FROM ops.load_days
            UNION ALL
            SELECT load_id, connection_id, provider, report, CAST(started_at AS DATE), started_at, true
            FROM ops.loads
            WHERE result = 'loaded' AND load_id NOT IN (SELECT load_id FROM ops.load_days)
                AND EXISTS (
                    SELECT 1 FROM duckdb_columns()
                    WHERE schema_name = 'raw' AND table_name = provider || '_' || report
                        AND column_name = 'snapshot_date'
                )
        ),
        ranked AS (
            SELECT *, row_number() OVER (
                PARTITION BY connection_id, report, day ORDER BY started_at DESC, load_id DESC) AS newest
            FROM day_reads
        )
        SELECT load_id, connection_id, provider, report, list(day ORDER BY day), bool_or(is_snapshot)
        FROM ranked WHERE newest = 1
        GROUP BY load_id, connection_id, provider, report
        ORDER BY min(started_at), load_id, report
        """
    ).fetchall()
    return [Share(*row) for row in rows]


def live_shares(connection: duckdb.DuckDBPyConnection) -> list[Share]:
    """The loads of the running day, in the order they were read: each replaces part of the one before.

    Those that real costs have replaced are left out: their bodies may be gone.
    """
    replaced = {load.load_id for load in replaced_loads(connection)}
    rows = connection.execute(
        """
        SELECT load_id, connection_id, provider, report, [window_start], false FROM ops.loads
        WHERE result = 'loaded' AND list_contains($1, report)
        ORDER BY started_at, load_id
        """,
        [list(LIVE_REPORTS)],
    ).fetchall()
    return [Share(*row) for row in rows if row[0] not in replaced]


def gone_key_shares(connection: duckdb.DuckDBPyConnection) -> list[Share]:
    """The loads that still stand for keys which were gone when their days were read again, oldest first."""
    rows = connection.execute(
        """
        SELECT load_id, connection_id, 'openrouter', 'analytics', list(DISTINCT usage_date ORDER BY usage_date), false
        FROM ops.gone_key_days GROUP BY load_id, connection_id ORDER BY load_id
        """
    ).fetchall()
    return [Share(*row) for row in rows]


def rebuild(connection: duckdb.DuckDBPyConnection, root: Path, now: datetime, settle_days: int) -> dict[str, int]:
    """Fills the raw tables from landings and builds every model whole; returns table name to row count.

    All or nothing: a landing that is missing or damaged, or no longer the one that was loaded, leaves every table as it
    was.
    """
    manifests = _manifests(connection)
    with transaction(connection):
        for table in names_in("raw"):
            connection.execute(f"DELETE FROM {quoted(table)}")  # noqa: S608 - quoted
        for share in [*newest_shares(connection), *live_shares(connection)]:
            _reload(connection, share, _landing_of(share, root, manifests))
        for share in gone_key_shares(connection):
            landing = _landing_of(share, root, manifests)
            with exposed(connection, landing):
                stage(connection, raw_table(share.provider, share.report), landing, "usage_date", share.days)
            leave_gone_keys(connection, landing, share.days)
        rows = build_within(connection, now, settle_days, whole=True)
    log.info("rebuilt %d raw tables and %d models", len(names_in("raw")), len(rows))
    return rows


Manifests = Mapping[tuple[str, str, str], str]


def _manifests(connection: duckdb.DuckDBPyConnection) -> Manifests:
    """By connection, report and load what its manifest was when it was loaded, as far as that was kept."""
    rows = connection.execute(
        "SELECT connection_id, report, load_id, manifest_sha256 FROM ops.loads WHERE manifest_sha256 IS NOT NULL"
    ).fetchall()
    return {(connection_id, report, load_id): sha256 for connection_id, report, load_id, sha256 in rows}


def _landing_of(share: Share, root: Path, manifests: Manifests) -> Landing:
    folder = share.folder(root)
    try:
        landing = read_landing(folder)
    except FileNotFoundError:
        raise LandingDamaged(
            f"The landing {folder} is missing, and {share.connection_id} {share.report} of {share.days[0]} rests on "
            "it. Restore it from a backup. Nothing was changed."
        ) from None
    known = manifests.get((share.connection_id, share.report, share.load_id))
    if known not in (None, landing.manifest_sha256):
        raise LandingDamaged(
            f"The manifest of the landing {folder} is not that which was loaded (checksum differs). Restore it from a "
            "backup. Nothing was changed."
        )
    return landing


def _reload(connection: duckdb.DuckDBPyConnection, share: Share, landing: Landing) -> None:
    table = raw_table(share.provider, share.report)
    column = "snapshot_date" if share.is_snapshot else "usage_date"
    with exposed(connection, landing):
        if share.report in LIVE_REPORTS:
            replace_instants(connection, table, landing)
            return
        stage(connection, table, landing, column, share.days)
    replace_window(connection, table, landing, column, share.days)
