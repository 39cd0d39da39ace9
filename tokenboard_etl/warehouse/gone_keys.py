"""OpenRouter keys that were deleted: what they had spent stays theirs.

Analytics is asked by hash, and the hash of a deleted key finds nothing any more: read again, its days would lose its
cost to "no key explains it", and with it the tenant who owes it. So its rows stay as the newest load has them that
could still ask. The account's own total goes on deciding: staging.openrouter_costs leaves of them what fits under it.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date

import duckdb

from tokenboard_etl.landing import Landing

TABLE = "raw.openrouter_analytics"

_LISTED = """
    SELECT item.hash FROM (
        SELECT unnest(from_json(body, '{"data": [{"hash": "VARCHAR"}]}').data) AS item FROM landed WHERE path = '/keys'
    )
"""
"""Every load of analytics ends with a list of all workspaces and keys."""

_SAME_ACCOUNT = """
    SELECT snapshot_date FROM raw.openrouter_keys
    WHERE connection_id = $connection AND workspace_id IN (
        SELECT item.id FROM (
            SELECT unnest(from_json(body, '{"data": [{"id": "VARCHAR"}]}').data) AS item
            FROM landed WHERE path = '/workspaces'
        )
    )
"""
"""Days on which keys of the account that is read now were listed. With a key of another one, nothing is gone."""


IS_GONE = f"""EXISTS (
    SELECT 1 FROM ops.gone_key_days AS gone
    WHERE gone.connection_id = {TABLE}.connection_id AND gone.usage_date = {TABLE}.usage_date
        AND gone.key_hash = {TABLE}.key_hash AND gone.load_id = {TABLE}.load_id)"""  # noqa: S608 - names are ours
"""Whether a row of the raw table is on record as that of a key which was gone when its day was read again."""


def record_gone_keys(connection: duckdb.DuckDBPyConnection, landing: Landing, days: Collection[date]) -> None:
    """Puts on record which rows stay: of keys that the landing's list, whose pages are exposed, does not hold any more.

    `incoming`, the rows the landing itself brought, gets them too.
    """
    values = {"connection": landing.connection_id, "days": list(days)}
    connection.execute(
        "DELETE FROM ops.gone_key_days WHERE connection_id = $connection AND list_contains($days::DATE[], usage_date)",
        values,
    )
    connection.execute(
        f"""
        INSERT INTO ops.gone_key_days
        SELECT DISTINCT connection_id, usage_date, key_hash, load_id FROM {TABLE} AS known
        WHERE connection_id = $connection AND load_id <> $load AND list_contains($days::DATE[], usage_date)
            AND key_hash NOT IN ({_LISTED})
            AND key_hash IN (
                SELECT key_hash FROM raw.openrouter_keys
                WHERE connection_id = $connection AND snapshot_date IN ({_SAME_ACCOUNT}))
            AND NOT EXISTS (
                SELECT 1 FROM incoming AS asked
                WHERE asked.usage_date = known.usage_date AND asked.key_hash = known.key_hash)
        """,  # noqa: S608 - names are ours
        {**values, "load": landing.load_id},
    )
    connection.execute("SET VARIABLE staged_days = $1::DATE[]", [list(days)])
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP VIEW incoming AS
        SELECT * FROM {TABLE}
        WHERE connection_id = getvariable('staged_connection_id') AND (
            load_id = getvariable('staged_load_id')
            OR list_contains(getvariable('staged_days'), usage_date) AND {IS_GONE})
        """  # noqa: S608 - names are ours
    )


def leave_gone_keys(connection: duckdb.DuckDBPyConnection, landing: Landing, days: Collection[date]) -> None:
    """Of the given days of a landing that was staged, leaves only the rows of keys that were gone later."""
    connection.execute(
        f"""
        DELETE FROM {TABLE}
        WHERE connection_id = $connection AND load_id = $load AND list_contains($days::DATE[], usage_date)
            AND NOT {IS_GONE}
        """,  # noqa: S608 - names are ours
        {"connection": landing.connection_id, "load": landing.load_id, "days": list(days)},
    )
