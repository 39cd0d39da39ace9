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


def keep_gone_keys(connection: duckdb.DuckDBPyConnection, landing: Landing, days: Collection[date]) -> None:
    """Adds to `incoming` the rows of keys that the landing's list, whose pages are exposed, does not hold any more."""
    values = {"connection": landing.connection_id, "days": list(days)}
    connection.execute(
        f"""
        INSERT INTO incoming BY NAME
        SELECT known.* FROM {TABLE} AS known
        WHERE connection_id = $connection AND list_contains($days::DATE[], usage_date)
            AND key_hash NOT IN ({_LISTED})
            AND key_hash IN (
                SELECT key_hash FROM raw.openrouter_keys
                WHERE connection_id = $connection AND snapshot_date IN ({_SAME_ACCOUNT}))
            AND NOT EXISTS (
                SELECT 1 FROM incoming AS asked
                WHERE asked.usage_date = known.usage_date AND asked.key_hash = known.key_hash)
        """,  # noqa: S608 - names are ours
        values,
    )
    connection.execute(
        "DELETE FROM ops.gone_key_days WHERE connection_id = $connection AND list_contains($days::DATE[], usage_date)",
        values,
    )
    connection.execute(
        """
        INSERT INTO ops.gone_key_days
        SELECT DISTINCT connection_id, usage_date, key_hash, load_id FROM incoming WHERE load_id <> $1
        """,
        [landing.load_id],
    )


def restore_gone_keys(connection: duckdb.DuckDBPyConnection) -> None:
    """Inserts the rows of `incoming` that are on record as those of keys that were gone later."""
    connection.execute(
        f"""
        INSERT INTO {TABLE} BY NAME
        SELECT incoming.* FROM incoming
        SEMI JOIN ops.gone_key_days AS gone USING (connection_id, usage_date, key_hash, load_id)
        """  # noqa: S608 - names are ours
    )
