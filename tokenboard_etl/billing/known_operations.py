"""Which operations an issue could know, as a checksum: they stay where they are, and later ones are told from them."""

from __future__ import annotations

import duckdb

from tokenboard_etl.periods import Month

OPERATIONS = "ops.operations"

KNOWN_OPERATIONS = f"""
    SELECT * FROM {OPERATIONS}
    WHERE coalesce(after_issue, 0) < $1 AND (
        strftime(usage_date, '%Y-%m') = $2
        OR strftime(usage_date, '%Y-%m') IN (
            SELECT strftime(usage_date, '%Y-%m') FROM billing.issue_source_days WHERE issue_no = $1))
"""  # noqa: S608 - our own name
"""Those of the month, and of months it corrects, that were loaded before an issue, by its number."""


def note_operations(connection: duckdb.DuckDBPyConnection, issue_no: int, month: Month) -> None:
    """Records what appendices and invoiced estimates of an issue rest on, inside the caller's transaction.

    The issue's source days are recorded before.
    """
    connection.execute(
        "INSERT INTO billing.issue_states VALUES ($1, $2, $3)",
        [issue_no, OPERATIONS, operations_checksum(connection, issue_no, str(month))],
    )


def operations_checksum(connection: duckdb.DuckDBPyConnection, issue_no: int, month: str) -> str:
    """Over all that was known of the months' operations, but not over whom they were about."""
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
