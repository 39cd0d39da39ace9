"""How long landed bodies are kept. What a figure rests on is kept for ever; what was superseded may go.

Reads of the running day come 288 times a day and are superseded as a whole: they go once real costs have arrived.
"""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from tokenboard_etl.files import storage_errors
from tokenboard_etl.landing import REJECTED
from tokenboard_etl.warehouse.connection import transaction
from tokenboard_etl.warehouse.live import LIVE_REPORTS, replaced_loads
from tokenboard_etl.warehouse.load import raw_table
from tokenboard_etl.warehouse.rebuild import gone_key_shares, newest_shares
from tokenboard_etl.warehouse.sql_files import quoted

log = logging.getLogger("tokenboard.retention")


@dataclass(frozen=True)
class Pruned:
    """What was removed: loads, and their size on disk in bytes."""

    loads: int
    bytes: int


def prune(connection: duckdb.DuckDBPyConnection, root: Path, keep_days: int, now: datetime) -> Pruned:
    """Removes the bodies of loads that ended more than `keep_days` days ago and that nothing rests on.

    Kept whatever their age: the newest load of every source day and snapshot and of keys that are gone (what `rebuild`
    reads), everything an issued invoice rests on, and loads that are not in the warehouse yet. The record of a load
    stays, with the time its bodies went. Answers that were set aside go by age alone, loads of the running day as
    `drop_replaced` says.
    """
    before = now - timedelta(days=keep_days)
    needed = {share.load_id for share in [*newest_shares(connection), *gone_key_shares(connection)]}
    rested_on = "SELECT load_id FROM billing.invoice_inputs UNION SELECT load_id FROM billing.issue_source_days"
    needed |= {load for (load,) in connection.execute(rested_on).fetchall()}
    superseded = connection.execute(
        """
        SELECT load_id, connection_id, report FROM ops.loads
        WHERE finished_at < $1 AND pruned_at IS NULL AND result <> 'refused' AND NOT list_contains($2, report)
        ORDER BY started_at
        """,
        [before, list(LIVE_REPORTS)],
    ).fetchall()
    replaced = drop_replaced(connection, root)
    loads, size = replaced.loads, replaced.bytes
    for load_id, connection_id, report in superseded:
        if load_id in needed:
            continue
        size += _remove(root / connection_id / report / load_id)
        connection.execute("UPDATE ops.loads SET pruned_at = $2 WHERE load_id = $1", [load_id, now])
        loads += 1
    for aside in root.glob(f"*/*/*{REJECTED}"):
        if aside.name < f"{before:%Y%m%dT%H%M%SZ}":  # folders are named by the instant they were begun
            size += _remove(aside)
            loads += 1
    log.info("pruned %d load(s), %d bytes", loads, size)
    return Pruned(loads, size)


def drop_replaced(connection: duckdb.DuckDBPyConnection, root: Path) -> Pruned:
    """Removes the loads of the running day all of whose days have their real cost: bodies, rows and record.

    Nothing rests on them any more. The bodies go first: stopped between, the next call does the rest.
    """
    replaced = replaced_loads(connection)
    if not replaced:
        return Pruned(0, 0)
    size = sum(_remove(root / load.connection_id / load.report / load.load_id) for load in replaced)
    gone = [load.load_id for load in replaced]
    with transaction(connection):
        for table in ("ops.loads", *sorted({raw_table(load.provider, load.report) for load in replaced})):
            connection.execute(f"DELETE FROM {quoted(table)} WHERE list_contains($1, load_id)", [gone])  # noqa: S608 - names are ours
    log.info("dropped %d load(s) of days whose real cost has arrived", len(gone))
    return Pruned(len(gone), size)


def _remove(folder: Path) -> int:
    """Removes a load's folder, the manifest first: a removal that is cut off leaves no load that looks whole."""
    if not folder.exists():
        return 0
    size = sum(file.stat().st_size for file in folder.iterdir())
    with storage_errors(folder):
        (folder / "manifest.json").unlink(missing_ok=True)
        shutil.rmtree(folder)
    return size
