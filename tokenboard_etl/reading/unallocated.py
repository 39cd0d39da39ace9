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
            SELECT
                provider, connection_id, account_id, account_name, account_status, min(first_day), max(last_day),
                CAST(sum(cost_usd) AS DECIMAL(38, 18))
            FROM views.unallocated_accounts
            GROUP BY provider, connection_id, account_id, account_name, account_status
            ORDER BY min(first_day), sum(cost_usd) DESC, provider, account_id
            """
        ).fetchall()
    return [Unallocated(*row) for row in rows]
