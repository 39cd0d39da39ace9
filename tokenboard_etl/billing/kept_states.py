"""Small tables as they were when documents were issued: kept once per state, under its checksum, and put back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from decimal import Decimal

import duckdb

from tokenboard_etl.warehouse.sql_files import quoted

_OF_THE_MONTHS = "list_contains($months::VARCHAR[], {column})"
_DAY = "strftime(usage_date, '%Y-%m')"

_KEPT = {
    "registry.tenants": "FROM registry.tenants",
    "registry.connections": "FROM registry.connections",
    "policy.default_margins": "FROM policy.default_margins",
    "policy.prices": "FROM policy.prices",
    "billing.closed_months": f"FROM billing.closed_months WHERE {_OF_THE_MONTHS.format(column='month')}",
    "ops.gone_key_days": f"FROM ops.gone_key_days WHERE {_OF_THE_MONTHS.format(column=_DAY)}",
    "ops.told_names": f"""
        SELECT DISTINCT told.*
        FROM ops.told_names AS told
        JOIN billing.invoice_drafts AS draft USING (tenant_id, provider, account_id)
        WHERE {_OF_THE_MONTHS.format(column="draft.month")}
    """,  # noqa: S608 - our own text
}
"""What is kept of each table: all of it, or what the months billed and corrected rest on."""


def keep_states(connection: duckdb.DuckDBPyConnection, issue_no: int, months: Sequence[str]) -> None:
    """Records the state of every table for an issue, inside the caller's transaction; one that is known is named."""
    for table, query in _KEPT.items():
        content = _content(connection, query, months)
        sha256 = checksum_of(content)
        known = connection.execute("SELECT count(*) FROM billing.kept_states WHERE sha256 = $1", [sha256]).fetchall()
        if known == [(0,)]:
            connection.execute("INSERT INTO billing.kept_states VALUES ($1, $2, $3)", [sha256, table, content])
        connection.execute("INSERT INTO billing.issue_states VALUES ($1, $2, $3)", [issue_no, table, sha256])


def restore(connection: duckdb.DuckDBPyConnection, table: str, content: str) -> None:
    """Gives a table exactly the rows of a state."""
    connection.execute(f"DELETE FROM {quoted(table)}")  # noqa: S608 - quoted
    state = json.loads(content, parse_float=Decimal)
    columns = ", ".join(f"row[{place}] AS {quoted(name)}" for place, name in enumerate(state["columns"], start=1))
    connection.execute(
        f"""
        INSERT INTO {quoted(table)} BY NAME
        SELECT {columns} FROM (SELECT unnest(from_json($1, '[["VARCHAR"]]')) AS row)
        """,  # noqa: S608 - quoted
        [json.dumps(state["rows"])],
    )


def checksum_of(content: str) -> str:
    """The name of a state."""
    return hashlib.sha256(content.encode()).hexdigest()


def _content(connection: duckdb.DuckDBPyConnection, query: str, months: Sequence[str]) -> str:
    """Columns and rows as JSON; values as texts, so that no figure becomes a float."""
    values = {"months": list(months)} if "$months" in query else {}
    found = connection.execute(f"SELECT COLUMNS(*)::VARCHAR FROM ({query}) ORDER BY ALL", values)  # noqa: S608 - ours
    columns = [name for name, *_ in found.description or ()]
    return json.dumps({"columns": columns, "rows": found.fetchall()}, ensure_ascii=False)
