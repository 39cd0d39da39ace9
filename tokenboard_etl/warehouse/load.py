"""From landed pages into raw tables: one transaction per load.

`stage` adds what the provider said, `replace_window` removes what was known about the days it confirmed, also when it
said nothing about them. Doing it twice changes nothing, and an older read never replaces a newer one.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta

import duckdb

from tokenboard_etl.errors import LoadRefused
from tokenboard_etl.landing import Landing
from tokenboard_etl.periods import Month, utc_day
from tokenboard_etl.warehouse.connection import memory_limit, transaction
from tokenboard_etl.warehouse.drift import Contract, record_unknown
from tokenboard_etl.warehouse.gone_keys import IS_GONE, record_gone_keys
from tokenboard_etl.warehouse.gone_keys import TABLE as ANALYTICS
from tokenboard_etl.warehouse.live import LIVE_REPORTS, replace_instants
from tokenboard_etl.warehouse.loads import (
    began_before_another,
    days_not_read_since,
    loaded_rows,
    mark_months,
    record_days,
    record_load,
)
from tokenboard_etl.warehouse.pages import exposed, memory_for
from tokenboard_etl.warehouse.restatements import find_collapse, is_restated, record_restatements
from tokenboard_etl.warehouse.sql_files import quoted, read_sql

log = logging.getLogger("tokenboard.load")

SETTLE_TIME = timedelta(days=4)
"""After it a day's figures are not expected to change; the settings' default."""


def raw_table(provider: str, report: str) -> str:
    """Where a report's rows go; also the name of the SQL file that reads its pages.

    Parts of a report (`other_usage.images`) share a table; its column `endpoint` tells them apart.
    """
    return f"raw.{provider}_{report.partition('.')[0]}"


def _endpoint(landing: Landing) -> str | None:
    return landing.report.partition(".")[2] or None


def load_landing(
    connection: duckdb.DuckDBPyConnection,
    landing: Landing,
    settle_time: timedelta = SETTLE_TIME,
    accepted_reason: str | None = None,
    contract: Contract | None = None,
    memory_bytes: int | None = None,
) -> int:
    """Loads one landing; returns its raw rows. One that is loaded already stays as it is.

    Raises LoadRefused, with the old figures untouched, where a figure that must be there is not or does not fit,
    where a field is not what `contract` says, or where settled money collapsed and `accepted_reason` does not say why
    that is right. A refused landing is recorded as such and not tried again: the next read of the same days takes its
    place. Without a `contract` only checksums and figures are checked. What does not go into `memory_bytes` (what its
    pages ask for, unless given) is loaded without a limit.
    """
    rows = loaded_rows(connection, landing)
    if rows is not None:
        return rows
    given = landing, settle_time, accepted_reason, contract
    try:
        try:
            with memory_limit(connection, memory_bytes or memory_for(landing)):
                rows = _load_whole(connection, *given)
        except duckdb.OutOfMemoryException:
            log.info(
                "%s %s takes more memory than is meant for it; loaded once more without a limit",
                landing.connection_id,
                landing.report,
            )
            rows = _load_whole(connection, *given)
    except LoadRefused:
        with transaction(connection):
            record_load(connection, landing, 0, "refused", None)
        raise
    log.info(
        "loaded %d rows of %s %s (%s)",
        rows,
        landing.connection_id,
        landing.report,
        landing.window,
        extra={**landing.facts, "rows": rows},
    )
    return rows


def _load_whole(
    connection: duckdb.DuckDBPyConnection,
    landing: Landing,
    settle_time: timedelta,
    accepted_reason: str | None,
    contract: Contract | None,
) -> int:
    with _figures_required(landing), transaction(connection):
        rows = _load(connection, landing, settle_time, accepted_reason, contract)
        if contract is not None:
            record_unknown(connection, landing, contract)
    return rows


def _load(
    connection: duckdb.DuckDBPyConnection,
    landing: Landing,
    settle_time: timedelta,
    accepted_reason: str | None,
    contract: Contract | None,
) -> int:
    table = raw_table(landing.provider, landing.report)
    if landing.unavailable:
        with exposed(connection, landing, contract):
            record_load(connection, landing, 0, "unavailable", None)
        return 0
    if landing.days is None and began_before_another(connection, landing):
        log.warning(
            "%s %s: a read that began after %s is loaded already, so this one changes nothing; is the clock right?",
            landing.connection_id,
            landing.report,
            landing.started_at,
        )
        with exposed(connection, landing, contract):
            record_load(connection, landing, 0, "superseded", None)
        return 0
    if landing.report in LIVE_REPORTS:
        with exposed(connection, landing, contract):
            rows = replace_instants(connection, table, landing)
        record_load(connection, landing, rows, "loaded", None)
        return rows
    if landing.days is None:
        today = [utc_day(landing.started_at)]
        with exposed(connection, landing, contract):
            stage(connection, table, landing, "snapshot_date", today)
        rows = replace_window(connection, table, landing, "snapshot_date", today)
        record_load(connection, landing, rows, "loaded", None)
        return rows
    days = days_not_read_since(connection, landing, landing.days)
    if len(days) < len(landing.days):
        log.warning(
            "%s %s: %d of %d day(s) had been read later than %s already and keep those figures; is the clock right?",
            landing.connection_id,
            landing.report,
            len(landing.days) - len(days),
            len(landing.days),
            landing.started_at,
        )
    with exposed(connection, landing, contract):
        stage(connection, table, landing, "usage_date", days)
        if table == ANALYTICS:
            record_gone_keys(connection, landing, days)
    accepted = None
    if is_restated(table):
        collapse = find_collapse(connection, table, landing, days, settle_time)
        if collapse and not accepted_reason:
            raise LoadRefused(collapse)
        accepted = accepted_reason if collapse else None
        record_restatements(connection, table, landing, days)
    rows = replace_window(connection, table, landing, "usage_date", days)
    record_days(connection, table, landing, days)
    mark_months(connection, {str(Month.of(day)) for day in days})
    record_load(connection, landing, rows, "loaded" if days or not landing.days else "superseded", accepted)
    return rows


def replace_window(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    landing: Landing,
    date_column: str,
    days: Sequence[date],
) -> int:
    """Removes what other loads say about the given days of one connection, so that `incoming` alone says it.

    Returns the rows it says it in; they may be none.
    """
    values = {"connection": landing.connection_id, "load": landing.load_id, "days": list(days)}
    condition = f"connection_id = $connection AND load_id <> $load AND list_contains($days::DATE[], {date_column})"
    if table == ANALYTICS:
        condition += f" AND NOT {IS_GONE}"
    if endpoint := _endpoint(landing):
        condition, values["endpoint"] = f"{condition} AND endpoint = $endpoint", endpoint
    connection.execute(f"DELETE FROM {quoted(table)} WHERE {condition}", values)  # noqa: S608 - names are ours
    return int(connection.execute("SELECT count(*) FROM incoming").fetchall()[0][0])


def stage(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    landing: Landing,
    date_column: str,
    days: Sequence[date],
) -> None:
    """Reads the exposed pages into the raw table, beside what earlier loads say; the new rows are the view `incoming`.

    They are written once and need no memory: the transaction that is not committed takes them back.
    """
    values: dict[str, object] = {
        "connection": landing.connection_id,
        "load": landing.load_id,
        "days": list(days),
    }
    known = ["$connection AS connection_id", "$load AS load_id"]
    if date_column == "snapshot_date":
        known.append("$snapshot AS snapshot_date")
        values["snapshot"] = days[0]
    if endpoint := _endpoint(landing):
        known.append("$endpoint AS endpoint")
        values["endpoint"] = endpoint
    connection.execute(
        f"""
        INSERT INTO {quoted(table)} BY NAME
        SELECT * FROM (SELECT {", ".join(known)}, * FROM ({read_sql(table).query}))
        WHERE list_contains($days::DATE[], {date_column})
        """,  # noqa: S608 - names and files are ours
        values,
    )
    rows_of_load = ["connection_id", "load_id", *(["endpoint"] if endpoint else [])]
    for column, value in zip(rows_of_load, (landing.connection_id, landing.load_id, endpoint), strict=False):
        connection.execute(f"SET VARIABLE staged_{column} = $1", [value])
    condition = " AND ".join(f"{column} = getvariable('staged_{column}')" for column in rows_of_load)
    connection.execute(f"CREATE OR REPLACE TEMP VIEW incoming AS SELECT * FROM {quoted(table)} WHERE {condition}")  # noqa: S608 - names are ours


_UNFIT = (
    duckdb.ConstraintException,
    duckdb.ConversionException,
    duckdb.InvalidInputException,
    duckdb.OutOfRangeException,
)


@contextmanager
def _figures_required(landing: Landing) -> Iterator[None]:
    try:
        yield
    except _UNFIT as error:
        raise LoadRefused(
            f"{landing.provider} {landing.report} ({landing.window}): a figure that must be there is missing or does "
            f"not fit ({str(error).splitlines()[0]}). Nothing of it was loaded, and it will not be tried again; the "
            f"answers are kept in {landing.folder}. Run the same command again to read the days anew."
        ) from error
