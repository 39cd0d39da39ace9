"""What an issuing transaction rests on, recorded within it, so that its documents can be derived again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime

import duckdb

from tokenboard_etl.billing.kept_states import keep_states
from tokenboard_etl.billing.known_operations import note_operations
from tokenboard_etl.periods import Month


def record_issue(
    connection: duckdb.DuckDBPyConnection,
    month: Month,
    corrected: Collection[str],
    now: datetime,
    policy_sha256: str,
    request: Mapping[str, object],
) -> int:
    """Writes billing.issues with all that the month and those `corrected` rest on; returns the issue's number.

    `request` is what was asked for, in values that JSON knows.
    """
    rows = connection.execute("SELECT coalesce(max(issue_no), 0) + 1 FROM billing.issues").fetchall()
    issue_no, months = int(rows[0][0]), sorted({str(month), *corrected})
    _record_source_days(connection, issue_no, months)
    keep_states(connection, issue_no, months)
    if "credits" not in request:  # a credit note has no appendix
        note_operations(connection, issue_no, month)
    known = [policy_sha256, _registry(connection), _prices(connection), _default_margins(connection)]
    facts = [str(month), now, *known, json.dumps(request, ensure_ascii=False)]
    connection.execute(
        "INSERT INTO billing.issues VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        [issue_no, *facts, evidence_checksum(connection, issue_no, facts)],
    )
    return issue_no


def evidence_checksum(connection: duckdb.DuckDBPyConnection, issue_no: int, facts: Collection[object]) -> str:
    """Over the columns of billing.issues from month to request, the issue's source days and its states.

    Manifests that are not known are left out, so that the checksums of issues from before they were kept still hold.
    """
    days = connection.execute(
        "SELECT * EXCLUDE (manifest_sha256) FROM billing.issue_source_days WHERE issue_no = $1 ORDER BY ALL", [issue_no]
    ).fetchall()
    manifests = connection.execute(
        """
        SELECT DISTINCT connection_id, report, load_id, manifest_sha256 FROM billing.issue_source_days
        WHERE issue_no = $1 AND manifest_sha256 IS NOT NULL ORDER BY ALL
        """,
        [issue_no],
    ).fetchall()
    states = connection.execute(
        "SELECT * FROM billing.issue_states WHERE issue_no = $1 ORDER BY ALL", [issue_no]
    ).fetchall()
    said = tuple(each.astimezone(UTC).isoformat() if isinstance(each, datetime) else each for each in facts)
    return _checksum([said, *days, *states, *manifests])


def registry_checksum(connection: duckdb.DuckDBPyConnection) -> str:
    """Over all bindings of registry.accounts."""
    return _checksum(connection.execute("FROM registry.accounts ORDER BY ALL").fetchall())


def _record_source_days(connection: duckdb.DuckDBPyConnection, issue_no: int, months: list[str]) -> None:
    """Days of our own connections: their costs, the usage that decides categories, and keys that were gone."""
    connection.execute(
        """
        INSERT INTO billing.issue_source_days
        WITH reads AS (
            SELECT
                connection_id, report, usage_date, load_id,
                row_number() OVER (
                    PARTITION BY connection_id, report, usage_date ORDER BY started_at DESC, load_id DESC
                ) AS newest
            FROM ops.load_days
            WHERE list_contains($months::VARCHAR[], strftime(usage_date, '%Y-%m'))
        ),
        used AS (
            SELECT connection_id, report, usage_date, load_id FROM reads WHERE newest = 1
            UNION
            SELECT connection_id, 'analytics', usage_date, load_id FROM ops.gone_key_days
            WHERE list_contains($months::VARCHAR[], strftime(usage_date, '%Y-%m'))
        )
        SELECT $issue, day.connection_id, day.report, day.usage_date, day.state, used.load_id, loads.sha256,
            loads.manifest_sha256
        FROM ops.source_days AS day
        JOIN used
            ON used.connection_id = day.connection_id
            AND used.report = day.report
            AND used.usage_date = day.usage_date
        JOIN ops.loads AS loads
            ON loads.load_id = used.load_id
            AND loads.connection_id = used.connection_id
            AND loads.report = used.report
        WHERE day.gates_closing OR (
            day.report IN ('completions', 'activity_by_key')
            AND day.connection_id NOT IN (SELECT connection_id FROM registry.connections WHERE tenant_id IS NOT NULL))
        """,
        {"issue": issue_no, "months": months},
    )


def _registry(connection: duckdb.DuckDBPyConnection) -> str:
    """The checksum of all bindings; a state that is new is kept."""
    sha256 = registry_checksum(connection)
    known = connection.execute("SELECT count(*) FROM billing.issues WHERE registry_sha256 = $1", [sha256]).fetchall()
    if known == [(0,)]:
        connection.execute("INSERT INTO registry.binding_versions SELECT $1, * FROM registry.accounts", [sha256])
    return sha256


def _prices(connection: duckdb.DuckDBPyConnection) -> str:
    return _checksum(connection.execute("FROM policy.prices ORDER BY ALL").fetchall())


def _default_margins(connection: duckdb.DuckDBPyConnection) -> str:
    rows = connection.execute(
        """
        SELECT rule_id, provider, CAST(multiplier AS VARCHAR), CAST(valid_from AS VARCHAR), CAST(valid_until AS VARCHAR)
        FROM policy.default_margins ORDER BY ALL
        """
    ).fetchall()
    return json.dumps(rows)


def _checksum(rows: Collection[tuple[object, ...]]) -> str:
    return hashlib.sha256(json.dumps([list(map(str, row)) for row in rows]).encode()).hexdigest()
