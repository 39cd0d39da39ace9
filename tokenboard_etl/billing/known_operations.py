"""Which operations an issue could know, as a checksum: they stay where they are, and later ones are told from them."""

from __future__ import annotations

import duckdb

from tokenboard_etl.periods import Month

OPERATIONS = "ops.operations"

KNOWN_OPERATIONS = f"""
    SELECT * FROM {OPERATIONS}
    WHERE coalesce(after_issue, 0) < $1 AND strftime(usage_date, '%Y-%m') = $2
"""  # noqa: S608 - our own name
"""Those of a month that were loaded before an issue, by its number."""


def note_operations(connection: duckdb.DuckDBPyConnection, issue_no: int, month: Month) -> None:
    """Records what the appendices of an issue rest on, inside the caller's transaction."""
    connection.execute(
        "INSERT INTO billing.issue_states VALUES ($1, $2, $3)",
        [issue_no, OPERATIONS, operations_checksum(connection, issue_no, str(month))],
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
