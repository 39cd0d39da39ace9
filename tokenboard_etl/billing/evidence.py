"""What an issuing transaction rests on, recorded within it, so that its documents can be derived again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from datetime import datetime

import duckdb

from tokenboard_etl.periods import Month


def record_issue(
    connection: duckdb.DuckDBPyConnection, month: Month, corrected: Collection[str], now: datetime, policy_sha256: str
) -> int:
    """Writes billing.issues and the source days of the month and of those `corrected`; returns the issue's number."""
    rows = connection.execute("SELECT coalesce(max(issue_no), 0) + 1 FROM billing.issues").fetchall()
    issue_no = int(rows[0][0])
    connection.execute(
        "INSERT INTO billing.issues VALUES ($1, $2, $3, $4, $5, $6, $7)",
        [
            issue_no,
            str(month),
            now,
            policy_sha256,
            _registry(connection),
            _prices(connection),
            _default_margins(connection),
        ],
    )
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
        )
        SELECT $issue, day.connection_id, day.report, day.usage_date, day.state, reads.load_id, loads.sha256
        FROM ops.source_days AS day
        JOIN reads
            ON reads.connection_id = day.connection_id
            AND reads.report = day.report
            AND reads.usage_date = day.usage_date
            AND reads.newest = 1
        JOIN ops.loads AS loads
            ON loads.load_id = reads.load_id
            AND loads.connection_id = reads.connection_id
            AND loads.report = reads.report
        WHERE day.gates_closing
        """,
        {"issue": issue_no, "months": sorted({str(month), *corrected})},
    )
    return issue_no


def _registry(connection: duckdb.DuckDBPyConnection) -> str:
    """The checksum of all bindings; a state that is new is kept."""
    rows = connection.execute("FROM registry.accounts ORDER BY ALL").fetchall()
    sha256 = _checksum(rows)
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
