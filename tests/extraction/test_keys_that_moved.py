"""OpenRouter's cost per key: keys that spent nothing are not asked for, and no figure differs for it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenboard_etl.errors import ProviderRejected
from tokenboard_etl.landing import begin, newest_landing
from tokenboard_etl.periods import Window, start_of, utc_day
from tokenboard_etl.providers.openrouter import KeyRef, groups_with_distinct_names
from tokenboard_etl.providers.openrouter_by_key import MAX_KEYS_OF_ACTIVITY, activity_by_key, is_short, moved
from tokenboard_etl.providers.openrouter_wire import Key
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.providers.wire import Request
from tokenboard_etl.warehouse.checks import all_checks, run_checks

BEFORE = datetime(2026, 4, 12, 2, tzinfo=UTC)
NEWCOMER = "acme-b-robotics-b/chat-98"
"""Listed on the 12th with zeros, spends for the first time on the 13th."""
DAY = Window(date(2026, 4, 13), date(2026, 4, 14))
NOW = datetime(2026, 4, 14, 2, tzinfo=UTC)
IDLE = 120
KEYS, COSTS = {"keys"}, {"keys", "analytics", "activity", "activity_by_key"}
QUERY = "POST /openrouter/api/v1/analytics/query"
ACTIVITY = "GET /openrouter/api/v1/activity"

Rows = list[tuple[Any, ...]]


@pytest.fixture
def idle_keys(sandbox: RunningSandbox) -> Iterator[None]:
    """Many keys nobody ever used, besides those of the world."""
    sandbox.set_clock(BEFORE - timedelta(hours=1))
    headers = {"Authorization": f"Bearer {sandbox.world.management_key}"}
    with httpx.Client(base_url=sandbox.openrouter_base_url, headers=headers) as client:
        for number in range(IDLE):
            assert client.post("keys", json={"name": f"idle {number}"}).status_code == 201
    yield
    sandbox.reset()


def rows_of(warehouse: duckdb.DuckDBPyConnection, table: str, window: Window) -> Rows:
    days = "usage_date >= $1 AND usage_date < $2"
    query = f"SELECT * EXCLUDE (load_id) FROM raw.openrouter_{table} WHERE {days} ORDER BY ALL"
    return warehouse.execute(query, [window.start, window.end]).fetchall()


def spent(sandbox: RunningSandbox, now: datetime) -> dict[str, KeyRef]:
    """Keys of the world that spent anything from BEFORE to an instant, by the world's own books."""
    found = {}
    for key in sandbox.world.account.keys:
        first, last = (sandbox.world.openrouter.spent(key.hash, date(2024, 1, 1), at) for at in (BEFORE, now))
        if first != last:
            found[key.hash] = KeyRef(key.hash, key.name)
    return found


@pytest.mark.usefixtures("idle_keys")
def test_only_keys_that_spent_are_asked_for_and_every_figure_is_that_of_a_full_read(
    sandbox: RunningSandbox, night: Any, warehouse: duckdb.DuckDBPyConnection
) -> None:
    night(BEFORE, None, "openrouter", KEYS)
    keys = sandbox.request_count(QUERY), sandbox.request_count(ACTIVITY)
    night(NOW, DAY, "openrouter", COSTS)
    few = sandbox.request_count(QUERY) - keys[0], sandbox.request_count(ACTIVITY) - keys[1]
    read = {table: rows_of(warehouse, table, DAY) for table in ("analytics", "activity", "activity_by_key")}
    night(NOW + timedelta(seconds=1), DAY, "openrouter", COSTS, home="without an older list")
    many = sandbox.request_count(QUERY) - keys[0] - few[0], sandbox.request_count(ACTIVITY) - keys[1] - few[1]

    expected = spent(sandbox, NOW)
    everybody = [KeyRef(key.hash, key.name) for key in sandbox.sandbox.account.keys.values() if key.created_at <= NOW]
    assert few == (1 + len(list(groups_with_distinct_names(expected.values()))), 1 + len(expected))
    assert many == (1 + len(list(groups_with_distinct_names(everybody))), 1 + len(everybody))
    assert many[0] > few[0] + 1
    for table, rows in read.items():
        assert rows == rows_of(warehouse, table, DAY), table
    newcomer = next(key.hash for key in sandbox.world.account.keys if key.name == NEWCOMER)
    assert newcomer in {row[2] for row in read["analytics"]}
    sums = warehouse.execute(
        "SELECT key_hash, sum(cost_usd) FROM raw.openrouter_activity_by_key GROUP BY 1 HAVING sum(cost_usd) <> 0"
    ).fetchall()
    world: dict[str, Decimal] = {}
    for row in sandbox.world.openrouter_spend(DAY.start, NOW):
        if row.key_hash:
            world[row.key_hash] = world.get(row.key_hash, Decimal(0)) + row.usage_usd
    assert dict(sums) == {key: cost for key, cost in world.items() if cost}


def test_restated_days_are_read_again_night_after_night_as_a_full_read_would(
    night: Any, warehouse: duckdb.DuckDBPyConnection
) -> None:
    windows: list[Rows] = []
    for number in range(5):
        now = BEFORE + timedelta(days=number)
        window = Window(utc_day(now) - timedelta(days=3), utc_day(now))
        night(now, window, "openrouter", {"keys", "analytics"})
        short = rows_of(warehouse, "analytics", window)
        night(now + timedelta(seconds=1), window, "openrouter", {"keys", "analytics"}, home=f"full {number}")
        assert short == rows_of(warehouse, "analytics", window)
        windows.append(short)
    first, second = ({row[1:4]: row[4] for row in rows} for rows in windows[-2:])
    assert any(first[key] != second[key] for key in first.keys() & second.keys())


@pytest.mark.usefixtures("idle_keys")
def test_a_window_of_more_than_seven_days_reads_the_cost_of_every_key(sandbox: RunningSandbox, night: Any) -> None:
    night(BEFORE, None, "openrouter", KEYS)
    before = sandbox.request_count(QUERY)
    later = NOW + timedelta(days=7)
    night(later, Window(DAY.start, utc_day(later)), "openrouter", {"keys", "analytics"})
    everybody = [KeyRef(key.hash, key.name) for key in sandbox.sandbox.account.keys.values() if key.created_at <= later]
    assert sandbox.request_count(QUERY) - before == 1 + len(list(groups_with_distinct_names(everybody)))


@pytest.mark.parametrize(("days", "short"), [(1, True), (5, True), (7, True), (8, False), (35, False)])
def test_weeks_are_short_windows(days: int, short: bool) -> None:
    assert is_short(Window(DAY.start, DAY.start + timedelta(days=days))) is short


@pytest.mark.parametrize(
    ("began", "seconds", "counts"),
    [
        (start_of(DAY.start) - timedelta(days=3), 0, True),
        (start_of(DAY.start) - timedelta(seconds=5), 5, True),
        (start_of(DAY.start) - timedelta(seconds=5), 6, False),
        (start_of(DAY.start) + timedelta(seconds=1), 0, False),
    ],
)
def test_an_older_list_counts_only_if_it_was_whole_when_the_window_began(
    tmp_path: Path, began: datetime, seconds: int, counts: bool
) -> None:
    """What was spent while it was read may stand in it already."""
    opened = begin(tmp_path, "openrouter", "openrouter", "keys", DAY, began)
    made = opened.complete(None, began + timedelta(seconds=seconds))
    newer = begin(tmp_path, "openrouter", "openrouter", "keys", DAY, NOW)
    newer.complete(None, NOW)
    found = newest_landing(tmp_path, "openrouter", "keys", finished_by=start_of(DAY.start))
    assert found == (made if counts else None)


# --- which keys moved -----------------------------------------------------------------------------------------------

_amounts = st.sampled_from(("0", "0.1", "0.100000000000000001", "7"))
_lists = st.dictionaries(st.sampled_from("abcde"), st.tuples(_amounts, _amounts))


def listed(counters: dict[str, tuple[str, str]]) -> dict[str, Key]:
    zeros = dict.fromkeys(("usage_daily", "usage_weekly", "usage_monthly"), 0)
    limits = dict.fromkeys(("limit", "limit_remaining", "limit_reset"))
    rest = {"label": "", "disabled": False, "created_at": "2026-01-01T00:00:00Z", **zeros, **limits}
    return {
        key: Key.model_validate({"hash": key, "name": f"key {key}", "usage": usage, "byok_usage": byok, **rest})
        for key, (usage, byok) in counters.items()
    }


@given(_lists, _lists)
def test_a_key_is_left_out_only_if_both_lists_hold_it_with_equal_counters(
    before: dict[str, tuple[str, str]], now: dict[str, tuple[str, str]]
) -> None:
    wanted = {key.hash for key in moved(listed(now), NOW, listed(before), DAY)}
    assert wanted == {key for key, counters in now.items() if (key, counters) not in before.items()}


def test_a_list_from_before_the_windows_end_leaves_no_key_out() -> None:
    same = listed({"a": ("1", "0")})
    assert moved(same, start_of(DAY.end), same, DAY) == []
    assert moved(same, start_of(DAY.end) - timedelta(seconds=1), same, DAY) == [KeyRef("a", "key a")]


# --- activity per key -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("keys", "asked"), [(MAX_KEYS_OF_ACTIVITY, True), (MAX_KEYS_OF_ACTIVITY + 1, False)])
def test_activity_of_very_many_keys_is_not_asked_for_and_no_day_confirmed(keys: int, asked: bool) -> None:
    requests: list[Request] = []

    async def fetch(request: Request) -> Any:
        requests.append(request)
        return {"data": []}

    wanted = [KeyRef(f"{number:064x}", "same name") for number in range(keys)]
    days = asyncio.run(activity_by_key(fetch, DAY, NOW, wanted))
    assert days == (frozenset(DAY.days()) if asked else frozenset())
    assert sorted(dict(each.params)["api_key_hash"] for each in requests) == ([k.hash for k in wanted] if asked else [])


@pytest.mark.parametrize(("status", "raised"), [(404, False), (400, True)])
def test_a_key_that_was_deleted_meanwhile_stops_nothing(status: int, raised: bool) -> None:
    async def fetch(request: Request) -> Any:
        raise ProviderRejected("openrouter", request.endpoint, "gone", status=status, advice="")

    reading = activity_by_key(fetch, DAY, NOW, [KeyRef("a", "a")])
    if raised:
        with pytest.raises(ProviderRejected):
            asyncio.run(reading)
    else:
        assert asyncio.run(reading) == frozenset(DAY.days())


def findings(warehouse: duckdb.DuckDBPyConnection, name: str) -> list[str]:
    (found,) = run_checks(warehouse, [check for check in all_checks() if check.name == name])
    assert not found.check.blocking
    return list(found.examples)


def test_a_key_whose_activity_differs_from_its_analytics_is_named_with_the_day(
    night: Any, warehouse: duckdb.DuckDBPyConnection
) -> None:
    window = Window(utc_day(NOW) - timedelta(days=6), utc_day(NOW))
    night(NOW, window, "openrouter", COSTS)
    name = "activity_agrees_with_analytics"
    assert findings(warehouse, name) == []
    [(key,)] = warehouse.execute(
        "SELECT min(key_hash) FROM raw.openrouter_activity_by_key WHERE usage_date = $1 AND cost_usd > 0",
        [window.start],
    ).fetchall()
    warehouse.execute(
        "UPDATE raw.openrouter_activity_by_key SET cost_usd = cost_usd + 0.000001 WHERE key_hash = $1", [key]
    )
    (first, *_) = findings(warehouse, name)
    assert f"usage_date={window.start}" in first
    assert f"key_hash={key}" in first
    warehouse.execute("DELETE FROM raw.openrouter_activity_by_key WHERE key_hash = $1", [key])
    assert f"key_hash={key}" in findings(warehouse, name)[0]
    warehouse.execute(
        "UPDATE ops.load_days SET started_at = started_at - INTERVAL 1 DAY WHERE report = 'activity_by_key'"
    )
    assert findings(warehouse, name) == [], "read on another day than analytics"
    warehouse.execute("UPDATE raw.openrouter_activity SET cost_usd = 0 WHERE usage_date = $1", [window.start])
    (total,) = findings(warehouse, name)
    assert "key_hash=," in total
