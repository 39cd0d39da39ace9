"""OpenRouter's balance against its analytics, its keys' counters, and what own provider keys cost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb

from tokenboard_etl.periods import Window, lookback_window, utc_day
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.warehouse.checks import all_checks, run_checks

FIRST = datetime(2026, 5, 4, 2, tzinfo=UTC)
NIGHTS = 14


def violations(warehouse: duckdb.DuckDBPyConnection, name: str) -> int:
    (found,) = run_checks(warehouse, [check for check in all_checks() if check.name == name])
    assert not found.check.blocking
    return found.violations


@contextmanager
def moved(warehouse: duckdb.DuckDBPyConnection, day: date, by_usd: Decimal) -> Iterator[None]:
    """Everything used from a snapshot on is another figure."""
    query = "UPDATE raw.openrouter_credits SET used_usd = used_usd + $2::DECIMAL(38, 18) WHERE snapshot_date >= $1"
    warehouse.execute(query, [day, by_usd])
    yield
    warehouse.execute(query, [day, -by_usd])


def test_the_movement_of_credits_lies_within_the_days_between_and_only_grows(
    night: Any, warehouse: duckdb.DuckDBPyConnection, sandbox: RunningSandbox
) -> None:
    """A fortnight of nights, the balance read at another hour each."""
    for number in range(NIGHTS):
        now = FIRST + timedelta(days=number, hours=7 * number % 20)
        names = {"keys", "credits", "analytics", "analytics_total"}
        night(now, lookback_window(utc_day(now), 4), "openrouter", names)
    agrees, grows = "credit_movement_agrees", "used_credit_only_grows"
    assert violations(warehouse, agrees) == violations(warehouse, grows) == 0
    week = [FIRST.date() + timedelta(days=number) for number in range(2, 8)]
    daily = [sum(row.usage_usd for row in sandbox.world.openrouter_spend(day, sandbox.sandbox.now())) for day in week]
    more_than_the_days_touched = 7 * max(daily)
    with moved(warehouse, FIRST.date() + timedelta(days=6), more_than_the_days_touched):
        assert violations(warehouse, agrees) > 0
    assert violations(warehouse, agrees) == 0
    with moved(warehouse, FIRST.date() + timedelta(days=8), -more_than_the_days_touched):
        assert violations(warehouse, agrees) > 0
    with moved(warehouse, FIRST.date() + timedelta(days=NIGHTS - 1), Decimal(1000000)):
        assert violations(warehouse, agrees) == 0, "what is not settled is not judged"
    with moved(warehouse, FIRST.date() + timedelta(days=6), Decimal(-1000)):
        night(FIRST + timedelta(days=NIGHTS), None, "openrouter", {"credits"})
        assert violations(warehouse, grows) == 1


def test_a_missed_night_is_a_longer_span_and_two_zeros_are_a_reason(
    night: Any, warehouse: duckdb.DuckDBPyConnection, sandbox: RunningSandbox
) -> None:
    instants = [FIRST, FIRST + timedelta(days=1), FIRST + timedelta(days=3), FIRST + timedelta(days=4)]
    for now in instants:
        night(now, None, "openrouter", {"credits"})
    query = "UPDATE raw.openrouter_credits SET used_usd = NULL, granted_usd = NULL WHERE snapshot_date = $1"
    warehouse.execute(query, [instants[1].date()])
    night(instants[3], None, "openrouter", {"credits"})
    rows = warehouse.execute(
        """
        SELECT snapshot_date, used_usd, used_delta_usd, span_days, unavailable_reason IS NULL
        FROM credits.balances ORDER BY 1
        """
    ).fetchall()
    used = [sandbox.world.openrouter.spent_by_all(now).usage_usd for now in instants]
    assert rows == [
        (instants[0].date(), used[0], None, None, True),
        (instants[1].date(), None, None, None, False),
        (instants[2].date(), used[2], used[2] - used[0], 3, True),
        (instants[3].date(), used[3], used[3] - used[2], 1, True),
    ]


def test_keys_stand_with_limits_and_counters_and_no_limit_is_not_zero(
    night: Any, warehouse: duckdb.DuckDBPyConnection, sandbox: RunningSandbox
) -> None:
    now = datetime(2026, 5, 6, 2, tzinfo=UTC)  # a Wednesday
    night(now, None, "openrouter", {"keys"})
    rows = warehouse.execute(
        """
        SELECT key_hash, limit_usd, remaining_usd, used_usd, limit_reset, usage_usd, usage_daily_usd, usage_weekly_usd,
            usage_monthly_usd, byok_usage_usd, byok_usage_monthly_usd, disabled, snapshot_date
        FROM usage.openrouter_keys
        """
    ).fetchall()
    starts = [date(2024, 1, 1), now.date(), date(2026, 5, 4), date(2026, 5, 1)]
    expected = []
    for key in sandbox.world.account.keys:
        if key.created_at > now:
            continue
        spent = [sandbox.world.openrouter.spent(key.hash, start, now) for start in starts]
        monthly = spent[3].usage_usd
        limit = None if key.limit_usd is None else Decimal(key.limit_usd)
        remaining = None if limit is None else max(limit - monthly, Decimal(0))
        expected.append(
            (
                key.hash,
                limit,
                remaining,
                None if limit is None or remaining is None else limit - remaining,
                None if limit is None else "monthly",
                *(each.usage_usd for each in spent),
                spent[0].byok_usd,
                spent[3].byok_usd,
                key.disabled_on is not None and key.disabled_on <= now.date(),
                now.date(),
            )
        )
    assert sorted(rows, key=lambda row: row[0]) == sorted(expected, key=lambda row: row[0])
    assert {row[1] is None for row in rows} == {True, False}


def test_what_providers_charge_own_keys_is_seen_and_never_charged(
    night: Any, warehouse: duckdb.DuckDBPyConnection, sandbox: RunningSandbox
) -> None:
    now = datetime(2026, 5, 6, 2, tzinfo=UTC)
    window = Window(date(2026, 5, 1), date(2026, 5, 6))
    night(now, window, "openrouter", {"keys", "credits", "analytics", "analytics_total", "activity", "activity_by_key"})
    own = {stream.key_hash for stream in sandbox.world.account.streams if stream.byok}
    spend = [row for day in window.days() for row in sandbox.world.openrouter_spend(day, now) if row.key_hash in own]
    fees, upstream = (sum(getattr(row, name) for row in spend) for name in ("usage_usd", "byok_usd"))
    assert upstream > 10 * sum(row.usage_usd for row in spend if row.is_byok) > 0

    keys = sorted(key for key in own if key)
    charged = warehouse.execute(
        "SELECT sum(cost_usd), sum(quantity) FROM billing.charges WHERE list_contains($1, account_id)", [keys]
    ).fetchall()
    assert charged == [(fees, sum(row.requests for row in spend))]
    charges = warehouse.execute("SELECT sum(cost_usd), max(multiplier) FROM billing.charges").fetchall()[0]
    whole = sum(row.usage_usd for day in window.days() for row in sandbox.world.openrouter_spend(day, now))
    assert charges[0] == whole
    for table in ("usage.openrouter_activity", "usage.openrouter_activity_by_key"):
        assert warehouse.execute(f"SELECT sum(byok_usage_usd) FROM {table}").fetchall() == [(upstream,)]
    ever = sum(sandbox.world.openrouter.spent(key, date(2024, 1, 1), now).byok_usd for key in keys)
    assert warehouse.execute("SELECT sum(byok_usage_usd) FROM usage.openrouter_keys").fetchall() == [(ever,)]
    columns = warehouse.execute(
        "SELECT count(*) FROM duckdb_columns() WHERE schema_name = 'billing' AND column_name LIKE '%byok%'"
    ).fetchall()
    assert columns == [(0,)]
