"""What an operator should know before a night goes wrong: findings, worst first.

Reads the published file, never the warehouse: it waits for no lock. Days after the last publication count as
missing, because nobody has fetched them yet.
"""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import duckdb

from tokenboard_etl.connecting import examine as examine_key
from tokenboard_etl.connections import Connection, accounts
from tokenboard_etl.errors import ConfigurationError, KeyRefused, TokenboardError
from tokenboard_etl.findings import Finding, Level
from tokenboard_etl.landing import failures
from tokenboard_etl.periods import ONE_DAY, utc_day
from tokenboard_etl.reading.published import open_published
from tokenboard_etl.rereads import GATING_REPORTS
from tokenboard_etl.settings import Settings
from tokenboard_etl.tenants.inspection import inspect

ESCALATE_DAYS = 7
"""A missing day that can be fetched for no longer than this is an error."""

KEY_EXPIRES_SOON_DAYS = 30


_NOT_ALWAYS_ASKED = ("activity_by_key",)
"""A cross-check that accounts with very many keys do without: its days are missing on purpose."""


@dataclass(frozen=True)
class Horizon:
    """How much of a report was never fetched. `days_left` counts down for the oldest day that still can be."""

    connection_id: str
    report: str
    missing: int
    lost: int
    oldest_missing: date | None
    days_left: int | None


def horizons(published: duckdb.DuckDBPyConnection, today: date) -> list[Horizon]:
    """Per connection and report, from ops.source_days."""
    rows = published.execute(
        """
        WITH since AS (
            SELECT
                connection_id, report, min(date_diff('day', usage_date, fetchable_until)) AS horizon_days,
                CAST(unnest(generate_series(max(usage_date) + 1, $today - 1, INTERVAL 1 DAY)) AS DATE) AS usage_date
            FROM ops.source_days GROUP BY connection_id, report
        ),
        unfetched AS (
            SELECT connection_id, report, usage_date, fetchable_until
            FROM ops.source_days WHERE state IN ('missing', 'lost')
            UNION ALL
            SELECT connection_id, report, usage_date, CAST(usage_date + CAST(horizon_days AS INTEGER) AS DATE)
            FROM since
        )
        SELECT
            connection_id, report,
            count(*) FILTER (unfetched.fetchable_until >= $today),
            count(*) FILTER (unfetched.fetchable_until < $today),
            min(unfetched.usage_date) FILTER (unfetched.fetchable_until >= $today),
            min(date_diff('day', $today, unfetched.fetchable_until)) FILTER (unfetched.fetchable_until >= $today)
        FROM (SELECT DISTINCT connection_id, report FROM ops.source_days)
        LEFT JOIN unfetched USING (connection_id, report)
        GROUP BY connection_id, report ORDER BY connection_id, report
        """,
        {"today": today},
    ).fetchall()
    return [Horizon(*row) for row in rows]


def unavailable(published: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], str]:
    """Per connection and report whose newest read brought nothing but a reason: that reason."""
    rows = published.execute(
        """
        WITH ranked AS (
            SELECT connection_id, report, result, unavailable_reason,
                row_number() OVER (PARTITION BY connection_id, report ORDER BY started_at DESC, load_id DESC) AS age
            FROM ops.loads
        )
        SELECT connection_id, report, unavailable_reason FROM ranked
        WHERE age = 1 AND result = 'unavailable' ORDER BY connection_id, report
        """
    ).fetchall()
    return {(connection_id, report): reason for connection_id, report, reason in rows}


def examine(settings: Settings) -> list[Finding]:
    """Asks every provider about its key and our tenants, and looks at what was read and what was not."""
    try:
        known = accounts(settings)
    except ConfigurationError as error:
        return [Finding(Level.error, "connections", str(error))]
    read = [connection for connection in known if connection.mode == "organization"]
    of_providers = [*_keys(known, settings), *_failures(settings, known), *_freshness(settings, read)]
    found = [*of_providers, *inspect(settings), *_modes(settings)]
    return sorted(found, key=lambda finding: finding.level)


def _modes(settings: Settings) -> Iterator[Finding]:
    """Who else on this machine gets at the home; nothing where it is its owner's alone."""
    home, vault, warehouse = settings.home, settings.vault_path, settings.warehouse_path
    for writable in (home, *settings.home.glob("inbox/*"), settings.reports_path, settings.landing_path):
        if writable.exists() and writable.stat().st_mode & stat.S_IWOTH:
            yield Finding(Level.error, "files", f"every user of this machine can write into {writable}: chmod o-w it.")
    if vault.exists() and vault.stat().st_mode & 0o077:
        yield Finding(Level.error, "files", f"others can open {vault}: chmod 600 it. Its keys are encrypted there.")
    if warehouse.exists() and home.stat().st_mode & stat.S_IXOTH and warehouse.stat().st_mode & stat.S_IROTH:
        advice = f"chmod o-x {home}, or run everything with umask 077"
        what = (
            "every user of this machine can read all tenants' figures, our costs and margins, and what providers said"
        )
        yield Finding(Level.warning, "files", f"{what}: {advice}.")


def _keys(known: Sequence[Connection], settings: Settings) -> Iterator[Finding]:
    if not known:
        yield Finding(
            Level.error,
            "connections",
            "No provider is configured. Set OPENAI_ADMIN_KEY (sk-admin-...) or OPENROUTER_MANAGEMENT_KEY.",
        )
    for connection in known:
        try:
            key = asyncio.run(examine_key(connection, settings.now))
        except TokenboardError as error:
            said = connection.advise(error) if isinstance(error, KeyRefused) else error
            yield Finding(Level.error, connection.connection_id, str(said))
            continue
        left = (key.expires_at - settings.now).days if key.expires_at else None
        soon = left is not None and left <= KEY_EXPIRES_SOON_DAYS
        until = "" if left is None else f"; the key expires in {left} day(s)" + (", make a new one" if soon else "")
        unnamed = "; not projects, so costs have ids and no names" if key.no_account else ""
        what = f"may read {', '.join(key.may_read)}{unnamed}{until}"
        level = Level.warning if soon or unnamed else Level.fine
        yield Finding(level, connection.connection_id, what)


def _failures(settings: Settings, known: Sequence[Connection]) -> Iterator[Finding]:
    for note in failures(settings.landing_path, [connection.connection_id for connection in known]):
        yield Finding(
            Level.error,
            f"{note.connection_id} {note.report}",
            f"the newest read ({note.window}, {note.failed_at[:16]}) failed: {note.message}",
        )


def _freshness(settings: Settings, read: Sequence[Connection]) -> Iterator[Finding]:
    if not settings.published_path.exists():
        yield Finding(Level.warning, "published file", "Nothing was published yet; run `tokenboard nightly`.")
        return
    with open_published(settings.published_path) as published:
        found, refused = horizons(published, utc_day(settings.now)), unavailable(published)
    for connection in read:
        report = GATING_REPORTS[connection.provider]
        if (connection.connection_id, report) not in {(each.connection_id, each.report) for each in found}:
            yield Finding(
                Level.error,
                f"{connection.connection_id} {report}",
                "was never read, so none of its spend can be invoiced. Run `tokenboard nightly --from DATE`.",
            )
    for (connection_id, report), reason in refused.items():
        yield Finding(Level.warning, f"{connection_id} {report}", f"unavailable, which is not zero: {reason}")
    for horizon in found:
        if (horizon.connection_id, horizon.report) not in refused and horizon.report not in _NOT_ALWAYS_ASKED:
            yield _of(horizon, utc_day(settings.now))


def _of(horizon: Horizon, today: date) -> Finding:
    about = f"{horizon.connection_id} {horizon.report}"
    lost = f"; {horizon.lost} day(s) are lost: the provider no longer answers about them" if horizon.lost else ""
    if horizon.oldest_missing is None or horizon.days_left is None:
        return Finding(Level.warning if lost else Level.fine, about, f"every day that can be had is here{lost}")
    level = Level.error if horizon.days_left <= ESCALATE_DAYS else Level.warning
    return Finding(
        level,
        about,
        f"{horizon.missing} day(s) were never fetched; the oldest, {horizon.oldest_missing}, can be had for "
        f"{horizon.days_left} more day(s). Run `tokenboard nightly --from {horizon.oldest_missing} "
        f"--to {today - ONE_DAY}`{lost}",
    )
