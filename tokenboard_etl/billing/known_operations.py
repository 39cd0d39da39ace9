"""Which operations an issue could know, as checksums: they stay where they are, and later ones are told from them."""

from __future__ import annotations

from collections.abc import Iterable

import duckdb

OPERATIONS = "ops.operations"

KNOWN_OPERATIONS = f"""
    SELECT * FROM {OPERATIONS}
    WHERE coalesce(after_issue, 0) < $1 AND strftime(usage_date, '%Y-%m') = $2
"""  # noqa: S608 - our own name
"""Those of a month that were loaded before an issue, by its number."""


def note_operations(connection: duckdb.DuckDBPyConnection, issue_no: int, months: Iterable[str]) -> None:
    """Records by month what appendices and invoiced fallback prices rest on, inside the caller's transaction."""
    for month in months:
        connection.execute(
            "INSERT INTO billing.issue_states VALUES ($1, $2, $3)",
            [issue_no, f"{OPERATIONS} {month}", operations_checksum(connection, issue_no, month)],
        )


def operations_checksum(connection: duckdb.DuckDBPyConnection, issue_no: int, month: str) -> str:
    """Over all that was known of a month's operations, but not over whom they were about."""
    rows = connection.execute(
        f"""
        SELECT sha256(coalesce(string_agg(sha256(CAST(said AS VARCHAR)), '' ORDER BY operation_id), ''))
        FROM (
            SELECT
                operation_id,
                to_json([
                    operation_id, type, CAST(occurred_at AS VARCHAR), CAST(usage_date AS VARCHAR), tenant_id, job_id,
                    job_title, CAST(tokens AS VARCHAR), CAST(quantity AS VARCHAR), unit, CAST(success AS VARCHAR)
                ]) AS said
            FROM ({KNOWN_OPERATIONS})
        )
        """,  # noqa: S608 - our own text
        [issue_no, month],
    ).fetchall()
    return str(rows[0][0])
