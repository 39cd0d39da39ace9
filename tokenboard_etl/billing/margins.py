"""The default margins, recorded as dated rules when first seen, so that a change never changes the past."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

import duckdb

from tokenboard_etl.billing.policy_rules import SINCE_EVER
from tokenboard_etl.periods import utc_day
from tokenboard_etl.tenants.registry import rerate_open_months
from tokenboard_etl.warehouse.connection import transaction


def record_default_margins(
    connection: duckdb.DuckDBPyConnection, multipliers: Mapping[str, Decimal], now: datetime
) -> None:
    """Writes a rule per provider where the default differs from the newest one recorded.

    The first rule holds for all of the past; a later one from the day it is first seen.
    """
    today = utc_day(now)
    with transaction(connection):
        for provider, multiplier in sorted(multipliers.items()):
            newest = connection.execute(
                """
                SELECT multiplier, valid_from FROM policy.default_margins
                WHERE provider = $1 AND valid_until IS NULL
                """,
                [provider],
            ).fetchall()
            if newest and (newest[0][0] == multiplier or newest[0][1] > today):
                continue
            start = today if newest else SINCE_EVER
            connection.execute(
                "DELETE FROM policy.default_margins WHERE provider = $1 AND valid_from = $2", [provider, start]
            )
            connection.execute(
                "UPDATE policy.default_margins SET valid_until = $2 WHERE provider = $1 AND valid_until IS NULL",
                [provider, start],
            )
            rule_id = f"default-{provider}" + (f"-{start}" if newest else "")
            connection.execute(
                "INSERT INTO policy.default_margins VALUES ($1, $2, $3, $4, NULL, $5)",
                [rule_id, provider, multiplier, start, now],
            )
            rerate_open_months(connection)
