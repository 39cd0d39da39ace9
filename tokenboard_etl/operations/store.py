"""Operations in the warehouse: what is known, what is new, and the record of every file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import duckdb

from tokenboard_etl.operations.operation import COLUMNS, Operation
from tokenboard_etl.periods import utc_day
from tokenboard_etl.warehouse.load import mark_months

_STATED = ", ".join(COLUMNS).replace("candidate", "candidate_sha256")
"""The columns of the table that a row states, in the order of its fields."""


class Reject(NamedTuple):
    """A row in quarantine; `row_number` None is the whole file."""

    row_number: int | None
    reason: str


def is_known(connection: duckdb.DuckDBPyConnection, sha256: str) -> bool:
    """Whether these bytes were read before and every row of them was loaded."""
    rows = connection.execute(
        "SELECT count(*) FROM ops.operation_files WHERE sha256 = $1 AND rejected = 0", [sha256]
    ).fetchall()
    return bool(rows[0][0])


def known_tenants(connection: duckdb.DuckDBPyConnection) -> frozenset[str]:
    """Every tenant_id that is registered."""
    return frozenset(tenant for (tenant,) in connection.execute("SELECT tenant_id FROM registry.tenants").fetchall())


def insert_new(
    connection: duckdb.DuckDBPyConnection, operations: Sequence[tuple[int, Operation]], now: datetime
) -> tuple[int, list[Reject]]:
    """Loads those whose id is new; returns how many, and those whose id is known with other content.

    `operations` are numbered rows of different ids. Runs inside the caller's transaction.
    """
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE incoming_operations AS
        SELECT CAST(NULL AS BIGINT) AS row_number, {_STATED}, usage_date FROM ops.operations LIMIT 0
        """  # noqa: S608 - our own names
    )
    appender = connection.appender("incoming_operations")
    appender.append_rows(
        [(number, *_values(operation), utc_day(operation.occurred_at)) for number, operation in operations]
    )
    appender.flush()
    conflicts = connection.execute(
        f"""
        WITH other_content AS (
            SELECT {_STATED} FROM incoming_operations
            WHERE operation_id IN (SELECT operation_id FROM ops.operations)
            EXCEPT
            SELECT {_STATED} FROM ops.operations
        )
        SELECT row_number FROM incoming_operations WHERE operation_id IN (SELECT operation_id FROM other_content)
        """  # noqa: S608 - our own names
    ).fetchall()
    new = "operation_id NOT IN (SELECT operation_id FROM ops.operations)"
    months = connection.execute(
        f"SELECT DISTINCT strftime(usage_date, '%Y-%m') FROM incoming_operations WHERE {new}"  # noqa: S608 - our own names
    ).fetchall()
    inserted = connection.execute(
        f"""
        INSERT INTO ops.operations BY NAME
        SELECT
            {_STATED}, usage_date, $1 AS loaded_at,
            (SELECT coalesce(max(issue_no), 0) FROM billing.issues) AS after_issue
        FROM incoming_operations WHERE {new}
        """,  # noqa: S608 - our own names
        [now],
    ).fetchall()
    mark_months(connection, {month for (month,) in months})
    reason = "operation_id: it is loaded already, with other content, which stays"
    return int(inserted[0][0]), [Reject(number, reason) for (number,) in conflicts]


def _values(operation: Operation) -> list[object]:
    """In the place of the candidate a hash: a dropped table's bytes can outlive it in a copy of the file."""
    name = operation.candidate
    hashed = name and hashlib.sha256(f"{operation.tenant_id}\n{name}".encode()).hexdigest()
    return [hashed if column == "candidate" else getattr(operation, column) for column in COLUMNS]


def record_reading(
    connection: duckdb.DuckDBPyConnection,
    file: str,
    sha256: str,
    size: int,
    rows: int,
    loaded: int,
    rejects: Sequence[Reject],
    now: datetime,
) -> None:
    """Notes what a file gave; its earlier rows in quarantine make way for those of now."""
    before = connection.execute(
        "SELECT coalesce(sum(loaded), 0) FROM ops.operation_files WHERE file = $1 AND sha256 = $2", [file, sha256]
    ).fetchall()[0][0]
    connection.execute("DELETE FROM ops.operation_files WHERE file = $1 AND sha256 = $2", [file, sha256])
    connection.execute(
        "INSERT INTO ops.operation_files VALUES ($1, $2, $3, $4, $5, $6, $7)",
        [file, sha256, size, rows, int(before) + loaded, len(rejects), now],
    )
    connection.execute("DELETE FROM ops.operation_rejects WHERE file = $1", [file])
    if rejects:
        appender = connection.appender("ops.operation_rejects")
        appender.append_rows([(file, *reject, sha256, now) for reject in rejects])
        appender.flush()
