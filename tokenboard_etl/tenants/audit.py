"""registry.audit: every action at a provider for a tenant, on record before it is done and again when its end is known.

It is the saga's journal too: an action that is `begun` or `lost` may have happened, and whoever goes on from there has
to look. Nothing in it is secret.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

import duckdb

from tokenboard_etl.redaction import redact
from tokenboard_etl.warehouse.connection import transaction


@dataclass(frozen=True)
class Unresolved:
    """An action of which nobody knows whether it happened."""

    action_no: int
    subject: str | None
    known_ids: frozenset[str]


class Audit:
    """What one process does, as `actor`."""

    def __init__(self, warehouse: duckdb.DuckDBPyConnection, now: Callable[[], datetime]) -> None:
        self._warehouse, self._now, self._actor = warehouse, now, _user()

    def begin(
        self,
        tenant_id: str,
        provider: str,
        action: str,
        *,
        connection_id: str | None = None,
        subject: str | None = None,
        object_id: str | None = None,
        known_ids: Collection[str] = (),
    ) -> int:
        """Commits that the action is about to be done, and returns its number."""
        with transaction(self._warehouse):
            ((action_no,),) = self._warehouse.execute(
                "SELECT coalesce(max(action_no), 0) + 1 FROM registry.audit"
            ).fetchall()
            self._warehouse.execute(
                """
                INSERT INTO registry.audit
                VALUES ($1, $2, NULL, $3, $4, $5, $6, $7, $8, $9, 'begun', $10, NULL, NULL)
                """,
                [
                    action_no,
                    self._now(),
                    self._actor,
                    tenant_id,
                    provider,
                    connection_id,
                    action,
                    subject,
                    sorted(known_ids),
                    object_id,
                ],
            )
        return int(action_no)

    def end(
        self,
        action_no: int,
        result: str,
        *,
        object_id: str | None = None,
        request_id: str | None = None,
        detail: str | None = None,
    ) -> None:
        """Notes how an action ended, within the transaction the caller has open, if any."""
        self._warehouse.execute(
            """
            UPDATE registry.audit
            SET ended_at = $2, result = $3, object_id = coalesce($4, object_id),
                request_id = coalesce($5, request_id), detail = coalesce($6, detail)
            WHERE action_no = $1
            """,
            [action_no, self._now(), result, object_id, request_id, redact(detail) if detail else None],
        )

    def settle(self, tenant_id: str, provider: str, *, action: str | None = None, object_id: str | None = None) -> None:
        """Notes that what the actions of unknown end were for is in place, within the caller's transaction.

        All of a tenant's at a provider, or those of one kind about one object.
        """
        self._warehouse.execute(
            """
            UPDATE registry.audit SET ended_at = $3, result = 'settled'
            WHERE tenant_id = $1 AND provider = $2 AND connection_id IS NOT NULL AND result IN ('begun', 'lost')
                AND ($4 IS NULL OR action = $4) AND ($5 IS NULL OR object_id = $5)
            """,
            [tenant_id, provider, self._now(), action, object_id],
        )

    def unresolved(self, tenant_id: str, provider: str, action: str) -> list[Unresolved]:
        """Actions of this kind whose end nobody knows, oldest first."""
        rows = self._warehouse.execute(
            """
            SELECT action_no, subject, known_ids FROM registry.audit
            WHERE tenant_id = $1 AND provider = $2 AND action = $3 AND result IN ('begun', 'lost')
            ORDER BY action_no
            """,
            [tenant_id, provider, action],
        ).fetchall()
        return [Unresolved(number, subject, frozenset(known)) for number, subject, known in rows]


def _user() -> str:
    """Who runs this process: the user of the operating system, which no variable can change."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
