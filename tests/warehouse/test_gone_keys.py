"""A key that was deleted keeps what it spent, though its provider cannot say any more whose cost that was."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import httpx
import pytest

from tests.conftest import NOW, Night
from tokenboard_etl.periods import Window, utc_day
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.retention import prune
from tokenboard_etl.warehouse.rebuild import rebuild

DAYS = Window(date(2026, 6, 10), date(2026, 6, 15))
READ = {"keys", "analytics", "analytics_total"}
NIGHTS = [NOW + timedelta(days=night) for night in range(3)]


@pytest.fixture
def openrouter(sandbox: RunningSandbox) -> Iterator[httpx.Client]:
    """A client to delete keys with; the sandbox is made new afterwards."""
    headers = {"Authorization": f"Bearer {sandbox.world.management_key}"}
    with httpx.Client(base_url=sandbox.openrouter_base_url, headers=headers) as client:
        yield client
    sandbox.reset()


def spent(sandbox: RunningSandbox, keys: set[str | None], seen_at: datetime) -> dict[date, Decimal]:
    """What some keys cost a day, as the world shows it at a moment."""
    sums = dict.fromkeys(DAYS.days(), Decimal(0))
    for day in sums:
        for row in sandbox.world.openrouter_spend(day, seen_at):
            if row.key_hash in keys:
                sums[day] += row.usage_usd
    return {day: cost for day, cost in sums.items() if cost}


def charged(warehouse: duckdb.DuckDBPyConnection, condition: str, *values: object) -> dict[date, Decimal]:
    return dict(
        warehouse.execute(
            f"""
            SELECT usage_date, sum(cost_usd) FROM billing.charges
            WHERE provider = 'openrouter' AND usage_date < '2026-06-15' AND {condition}
            GROUP BY usage_date HAVING sum(cost_usd) <> 0
            """,
            list(values),
        ).fetchall()
    )


def tables(warehouse: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[Any, ...]]]:
    names = warehouse.execute(
        "SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE schema_name IN ('raw', 'billing', 'ops')"
    ).fetchall()
    return {name: warehouse.execute(f"FROM {name} ORDER BY ALL").fetchall() for (name,) in names}


def test_a_deleted_key_keeps_its_cost_night_after_night_after_pruning_and_after_a_rebuild(
    sandbox: RunningSandbox, night: Night, openrouter: httpx.Client, warehouse: duckdb.DuckDBPyConnection
) -> None:
    at_first = {
        key.hash: spent(sandbox, {key.hash}, NIGHTS[0])
        for key in sandbox.world.account.keys
        if spent(sandbox, {key.hash}, NIGHTS[0]) == spent(sandbox, {key.hash}, NIGHTS[-1]) != {}
    }
    victim = max(at_first, key=lambda key: sum(at_first[key].values()))
    for number, now in enumerate(NIGHTS):
        night(now, DAYS, "openrouter", READ)
        assert charged(warehouse, "account_id = $1", victim) == at_first[victim]
        everything = {row.key_hash for day in DAYS.days() for row in sandbox.world.openrouter_spend(day, now)}
        assert charged(warehouse, "true") == spent(sandbox, everything, now)
        if number == 0:
            assert openrouter.delete(f"keys/{victim}").status_code == 200
    changed = warehouse.execute("SELECT count(*) FROM billing.restatements WHERE account_id = $1", [victim]).fetchall()
    assert changed == [(0,)]

    settings = night(NIGHTS[-1], DAYS, "openrouter", READ)
    assert prune(warehouse, settings.landing_path, 0, NIGHTS[-1] + timedelta(days=1)).loads > 0
    before = tables(warehouse)
    assert (victim,) in warehouse.execute("SELECT key_hash FROM raw.openrouter_analytics").fetchall()
    rebuild(warehouse, settings.landing_path, settings.now, settings.settle_days)
    after = tables(warehouse)
    assert after.keys() == before.keys()
    for table, rows in after.items():
        assert rows == before[table], table


def test_keys_of_another_account_are_not_gone_but_none_of_this_ones(
    sandbox: RunningSandbox, night: Night, openrouter: httpx.Client, warehouse: duckdb.DuckDBPyConnection
) -> None:
    """Somebody put another account's management key in the place of the one before."""
    night(NIGHTS[0], DAYS, "openrouter", READ)
    victim = next(row.key_hash for row in sandbox.world.openrouter_spend(DAYS.start, NIGHTS[0]) if row.key_hash)
    assert charged(warehouse, "account_id = $1", victim)
    warehouse.execute("UPDATE raw.openrouter_keys SET workspace_id = 'of another account'")
    assert openrouter.delete(f"keys/{victim}").status_code == 200
    night(NIGHTS[1], DAYS, "openrouter", READ)
    assert charged(warehouse, "account_id = $1", victim) == {}


@pytest.mark.parametrize(
    ("total", "living", "first", "second", "nobodys"),
    [
        ("10", "4", "3", "2", "1"),  # the total grew after the deletion: nobody's
        ("9", "4", "3", "2", "0"),
        ("8", "4", "3", "1", "0"),  # it fell: what is gone takes the fall, what can be asked for is as it is told
        ("6", "4", "2", "0", "0"),
        ("4", "4", "0", "0", "0"),
        ("3", "4", "0", "0", "-1"),  # no deleted key can explain that: the check says so
        (None, "4", "0", "0", "-4"),
    ],
)
def test_what_deleted_keys_had_spent_counts_as_far_as_the_total_leaves_room(
    warehouse: duckdb.DuckDBPyConnection,
    night: Night,
    total: str | None,
    living: str,
    first: str,
    second: str,
    nobodys: str,
) -> None:
    night(NOW, None, "openrouter", set())  # makes the views
    day = utc_day(NOW)
    for key, cost, load in ((None, total, "new"), ("c", living, "new"), ("a", "3", "old"), ("b", "2", "old")):
        if cost is not None:
            warehouse.execute(
                "INSERT INTO raw.openrouter_analytics VALUES ('openrouter', $1, $2, $3, 'm', $4, 0, $5, 1)",
                [load, day, key, Decimal(cost), int(cost)],
            )
        if load == "old":
            warehouse.execute("INSERT INTO ops.gone_key_days VALUES ('openrouter', $1, $2, 'old')", [day, key])
    rows = warehouse.execute("SELECT account_id, cost_usd, quantity FROM staging.openrouter_costs").fetchall()
    expected = {"a": first, "b": second, "c": living, "": nobodys}
    assert {key: (cost, quantity) for key, cost, quantity in rows} == {
        key: (Decimal(cost), Decimal(cost)) for key, cost in expected.items() if key or Decimal(cost)
    }
