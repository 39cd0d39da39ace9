"""Accounts nobody is bound to, with the spend they carry: what somebody has to decide."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

from tokenboard_etl.reading.published import open_published


@dataclass(frozen=True)
class Unallocated:
    """`account_id` is empty for spend no account explains; `name` is None where the provider gave none."""

    provider: str
    connection_id: str
    account_id: str
    name: str | None
    status: str | None
    first_day: date
    last_day: date
    cost_usd: Decimal


def unallocated(published: Path) -> list[Unallocated]:
    """By the day their spend began, oldest first."""
    with open_published(published) as connection:
        rows = connection.execute(
            """
            WITH spent AS (
                SELECT
                    provider, connection_id, account_id, min(usage_date) AS first_day, max(usage_date) AS last_day,
                    sum(cost_usd) AS cost_usd
                FROM billing.charges
                WHERE tenant_id = 'unallocated' AND source = 'provider' AND cost_usd <> 0
                GROUP BY provider, connection_id, account_id
            )
            SELECT
                spent.provider, spent.connection_id, spent.account_id, listed.name, listed.status, spent.first_day,
                spent.last_day, CAST(spent.cost_usd AS DECIMAL(38, 18))
            FROM spent
            LEFT JOIN ops.accounts AS listed
                ON listed.connection_id = spent.connection_id AND listed.account_id = spent.account_id
                AND listed.kind IN ('project', 'key')
            ORDER BY spent.first_day, spent.cost_usd DESC, spent.provider, spent.account_id
            """
        ).fetchall()
    return [Unallocated(*row) for row in rows]
