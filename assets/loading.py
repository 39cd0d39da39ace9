"""From landings into raw tables, and the days that have to be read once more on the way."""

import logging
from collections.abc import Collection, Sequence

import duckdb

from tokenboard_etl.connections import Connection, accounts
from tokenboard_etl.errors import LoadRefused, TokenboardError
from tokenboard_etl.extraction import REPORTS, Failure, Undertaking, extract_all
from tokenboard_etl.landing import complete_landings, failures
from tokenboard_etl.periods import Month, Window
from tokenboard_etl.providers.answers import Answers
from tokenboard_etl.rereads import DECIDES_CATEGORIES, READ_TOGETHER, before_closing, contradicting_days
from tokenboard_etl.settings import Settings
from tokenboard_etl.stopping import run_until_stopped
from tokenboard_etl.warehouse.load import load_landing
from tokenboard_etl.warehouse.loads import loaded_ids

log = logging.getLogger("tokenboard.load")

REREADS = 3
"""Of days that move between two requests (design: three re-reads, then a warning)."""


def load_pending(
    warehouse: duckdb.DuckDBPyConnection,
    settings: Settings,
    provider: str,
    reports: Collection[str],
    accepted_collapse: str | None = None,
) -> dict[str, list[int]]:
    """Loads every complete landing that is not loaded yet, in the order they were read; rows per load, by report.

    Raises the first refusal after all others were loaded. One of a tenant's own account only warns.
    """
    rows: dict[str, list[int]] = {report: [] for report in reports}
    theirs = {account.connection_id for account in accounts(settings, provider) if account.tenant_id is not None}
    refusals = list[LoadRefused]()
    known = loaded_ids(warehouse)
    for report in reports:
        for landing in complete_landings(settings.landing_path, provider, report, without=known):
            try:
                loaded = load_landing(warehouse, landing, settings.settle_time, accepted_collapse, Answers(provider))
                rows[report].append(loaded)
            except LoadRefused as refusal:
                if landing.connection_id in theirs:
                    log.warning("%s %s was not loaded: %s", landing.connection_id, landing.report, refusal)
                else:
                    refusals.append(refusal)
    if refusals:
        raise refusals[0]
    return rows


def raise_failures(settings: Settings, connections: Sequence[Connection], reports: Collection[str]) -> None:
    """What could not be landed ends the run here, after everything else was loaded.

    A tenant's own account only warns: its spend is shown and never invoiced, and its days are stale.
    """
    ours = {connection.connection_id for connection in connections if connection.tenant_id is None}
    order = list(reports)  # the first one named is the one others depend on
    notes = sorted(
        (
            note
            for note in failures(settings.landing_path, [connection.connection_id for connection in connections])
            if note.report in reports
        ),
        key=lambda note: order.index(note.report),
    )
    for note in notes:
        if note.connection_id not in ours:
            log.warning("%s %s (%s) was not read: %s", note.connection_id, note.report, note.window, note.message)
    error = next((note.error for note in notes if note.connection_id in ours), None)
    if error:
        raise error


def read_again_while_moving(
    warehouse: duckdb.DuckDBPyConnection, settings: Settings, connection: Connection, days: Window, run: str
) -> None:
    """Reads those of `days` whose rows and control total disagree again, until they agree or REREADS times.

    What then still disagrees is for the checks: a warning on provisional days, a failure on settled ones.
    """
    for attempt in range(1, REREADS + 1):
        moved = contradicting_days(warehouse, connection, days)
        if moved is None:
            return
        log.info("%s %s moved between two requests; read again (%d)", connection.connection_id, moved, attempt)
        read_now(warehouse, settings, connection, moved, run)


def read_before_closing(
    warehouse: duckdb.DuckDBPyConnection, settings: Settings, connections: Sequence[Connection], month: Month, run: str
) -> int:
    """Reads what a month's invoices are made from once more where that was not done since it settled."""
    stale = before_closing(warehouse, connections, month, settings)
    for connection in stale:
        read_now(warehouse, settings, connection, month.window, run, (DECIDES_CATEGORIES[connection.provider],))
    return len(stale)


def read_now(
    warehouse: duckdb.DuckDBPyConnection,
    settings: Settings,
    connection: Connection,
    days: Window,
    run: str,
    besides: Sequence[str] = (),
) -> None:
    """Extracts and loads the gating report of one connection with its control total, and `besides` other reports.

    Raises what keeps it from that.
    """
    names = (*READ_TOGETHER[connection.provider], *besides)
    about = Undertaking(days, settings.landing_path, lambda: settings.now, run)
    reports = [REPORTS[connection.provider, name] for name in names]
    outcomes = run_until_stopped(extract_all([connection], reports, about))
    load_pending(warehouse, settings, connection.provider, names)
    error: TokenboardError | None = next((each.error for each in outcomes if isinstance(each, Failure)), None)
    if error:
        raise error
