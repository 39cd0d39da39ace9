"""What providers change after the fact: every value recorded, a collapse refused, and all of it rebuilt from bytes."""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from itertools import pairwise
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from assets.run import run_nightly, run_rebuild
from tokenboard_etl.errors import LandingDamaged, LoadRefused
from tokenboard_etl.http import Answer
from tokenboard_etl.landing import Landing, begin
from tokenboard_etl.periods import Window, lookback_window, start_of, utc_day
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.providers.sandbox.world import World
from tokenboard_etl.providers.wire import Request
from tokenboard_etl.settings import Settings, load_settings
from tokenboard_etl.warehouse.connection import open_warehouse
from tokenboard_etl.warehouse.load import load_landing

NIGHTS = [datetime(2026, 6, 14, 2, tzinfo=UTC) + timedelta(days=night) for night in range(3)]
Key = tuple[date, str, str, str]


def spend(world: World, window: Window, seen_at: datetime) -> dict[Key, Decimal]:
    """(day, account, key, item) to cost, as the world shows it at a moment; what no key explains is under ''."""
    sums: dict[Key, Decimal] = defaultdict(Decimal)
    with localcontext(prec=80):
        for day in window.days():
            for cost in world.openai_costs(world.organizations[0].id, day, seen_at):
                key = (day, cost.project_id or "", cost.api_key_id or "", cost.line_item)
                sums[key] += cost.amount_usd.quantize(Decimal("1e-18"), ROUND_HALF_UP)
            for row in world.openrouter_spend(day, seen_at):
                sums[day, row.key_hash or "", row.key_hash or "", row.model] += row.usage_usd
    return dict(sums)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the home after NIGHTS is kept, once a test has made it."""
    return tmp_path_factory.mktemp("kept") / "home"


@pytest.fixture
def three_nights(sandbox: RunningSandbox, settings: Settings, kept: Path) -> Settings:
    """Settings of the last of NIGHTS, for a home of the test's own in which all of them have been read."""

    def at(now: datetime) -> Settings:
        sandbox.set_clock(now)
        return load_settings(**sandbox.env(), TOKENBOARD_HOME=str(settings.home), TOKENBOARD_NOW=now.isoformat())

    if kept.exists():
        shutil.copytree(kept, settings.home)
        return at(NIGHTS[-1])
    with dg.DagsterInstance.ephemeral() as instance:
        for now in NIGHTS:
            tonight = at(now)
            run_nightly(tonight, lookback_window(utc_day(now), tonight.lookback_days), instance)
    shutil.copytree(settings.home, kept)
    return tonight


def tables(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    with duckdb.connect(path, read_only=True) as connection:
        names = connection.execute("SELECT schema_name || '.' || table_name FROM duckdb_tables()").fetchall()
        return {name: connection.execute(f"FROM {name} ORDER BY ALL").fetchall() for (name,) in names}


def test_every_value_that_changed_between_two_nights_is_recorded_and_no_other(
    sandbox: RunningSandbox, three_nights: Settings
) -> None:
    expected = []
    for before, after in pairwise(NIGHTS):
        overlap = Window(utc_day(after) - timedelta(days=5), utc_day(before))
        was, now = (spend(sandbox.world, overlap, seen_at) for seen_at in (before, after))
        expected += [
            (*key, was.get(key), now.get(key), after) for key in was.keys() | now.keys() if was.get(key) != now.get(key)
        ]
    with duckdb.connect(three_nights.published_path, read_only=True) as published:
        recorded = published.execute(
            """
            SELECT usage_date, account_id, api_key_id, line_item, previous_usd, current_usd, seen_at
            FROM billing.restatements
            """
        ).fetchall()
        wrong = published.execute(
            """
            SELECT count(*) FROM billing.restatements
            WHERE delta_usd <> coalesce(current_usd, 0) - coalesce(previous_usd, 0)
            """
        ).fetchall()
    assert sorted(recorded, key=repr) == sorted(expected, key=repr)
    assert wrong == [(0,)]
    assert any(previous and not current for *_, previous, current, _ in recorded), "a day restated to zero is in here"


def test_a_day_restated_to_zero_costs_nothing_and_its_history_stays(
    sandbox: RunningSandbox, three_nights: Settings
) -> None:
    day = date(2026, 6, 12)
    project = sandbox.world.restated_to_zero(sandbox.world.organizations[0].id, day)
    with duckdb.connect(three_nights.published_path, read_only=True) as published:
        rows = published.execute(
            """
            SELECT count(*), sum(cost_usd), sum(billed_usd) FROM billing.charges
            WHERE usage_date = $1 AND account_id = $2
            """,
            [day, project],
        ).fetchall()
        history = published.execute(
            """
            SELECT sum(delta_usd), count(*) FILTER (previous_usd IS NULL AND current_usd IS NOT NULL) AS appeared
            FROM billing.restatements WHERE usage_date = $1 AND account_id = $2
            """,
            [day, project],
        ).fetchall()
        state = published.execute(
            "SELECT state, rows > 0 FROM ops.source_days WHERE report = 'costs' AND usage_date = $1", [day]
        ).fetchall()
    first_seen = sum(
        (cost for key, cost in spend(sandbox.world, Window.of_days(day, day), NIGHTS[0]).items() if key[1] == project),
        Decimal(0),
    )
    assert rows[0][0] > 0, "the rows are there, at zero: confirmed, not missing"
    assert rows[0][1:] == (0, 0)
    assert history[0][0] == -first_seen != 0
    assert state == [("provisional", True)]


def test_a_vanished_row_is_gone_from_the_figures_and_stays_in_the_history(
    sandbox: RunningSandbox, settings: Settings
) -> None:
    org = sandbox.world.organizations[0].id
    candidates = (date(2026, 5, 1) + timedelta(days=n) for n in range(90))
    day, (project, line_item, key) = next(
        (day, gone) for day in candidates if (gone := sandbox.world.vanishing_row(org, day)) is not None
    )
    seen = []
    with dg.DagsterInstance.ephemeral() as instance:
        for hours in (26, 50):
            now = start_of(day) + timedelta(days=1, hours=hours)
            sandbox.set_clock(now)
            tonight = load_settings(**sandbox.env(), TOKENBOARD_HOME=str(settings.home), TOKENBOARD_NOW=now.isoformat())
            run_nightly(tonight, lookback_window(utc_day(now), tonight.lookback_days), instance)
            with duckdb.connect(tonight.published_path, read_only=True) as published:
                seen.append(
                    published.execute(
                        """
                        SELECT cost_usd FROM billing.charges
                        WHERE usage_date = $1 AND account_id = $2 AND line_item = $3 AND api_key_id = $4
                        """,
                        [day, project or "", line_item, key or ""],
                    ).fetchall()
                )
                history = published.execute(
                    """
                    SELECT previous_usd, current_usd, delta_usd FROM billing.restatements
                    WHERE usage_date = $1 AND account_id = $2 AND line_item = $3 AND api_key_id = $4
                    """,
                    [day, project or "", line_item, key or ""],
                ).fetchall()
    ((before,),), after = seen
    assert after == []
    assert history == [(before, None, -before)]


def test_rebuilding_from_landings_gives_equal_tables_without_a_provider(
    sandbox: RunningSandbox, three_nights: Settings
) -> None:
    before, asked = tables(three_nights.published_path), sandbox.request_count()
    with open_warehouse(three_nights.warehouse_path) as warehouse:
        for (table,) in warehouse.execute(
            "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'raw'"
        ).fetchall():
            warehouse.execute(f"DELETE FROM raw.{table}")
        warehouse.execute("DELETE FROM billing.charges")
    with dg.DagsterInstance.ephemeral() as instance:
        run_rebuild(three_nights, instance)
    assert tables(three_nights.published_path) == before
    assert sandbox.request_count() == asked


def test_a_missing_landing_stops_the_rebuild_and_changes_nothing(three_nights: Settings) -> None:
    before = tables(three_nights.published_path)
    newest = max(three_nights.landing_path.glob("openai/costs/*"))
    newest.rename(newest.with_name("elsewhere"))
    with dg.DagsterInstance.ephemeral() as instance, pytest.raises(LandingDamaged, match="is missing"):
        run_rebuild(three_nights, instance)
    assert tables(three_nights.published_path) == before


# --- collapse -------------------------------------------------------------------------------------------------------

DAYS = Window(date(2026, 5, 1), date(2026, 5, 4))
LATER = datetime(2026, 6, 1, tzinfo=UTC)


def landed(root: Path, costs: dict[date, list[str]], at: datetime) -> Landing:
    """A complete landing of OpenAI's costs: the amounts of each day, one project."""
    data = [
        {
            "start_time": int(start_of(day).timestamp()),
            "results": [
                {"amount": {"value": value, "currency": "usd"}, "line_item": f"item {n}", "project_id": "p"}
                for n, value in enumerate(values)
            ],
        }
        for day, values in costs.items()
    ]
    opened = begin(root, "openai", "openai", "costs", DAYS, at)
    opened.add(Request("openai", "/organization/costs"), Answer(200, json.dumps({"data": data}).encode(), None), at)
    return opened.complete(frozenset(costs), at)


@pytest.mark.parametrize(
    ("then", "refused"),
    [
        (["100", "0", "0"], "fell from 300"),
        ([None, "100", "100"], "2026-05-01 became empty"),
        (["240.01", "0", "0"], None),
        (["80", "80", "80"], None),
        (["0", "120", "120"], None),
        (["79.99", "80", "80"], "fell from 300"),
    ],
)
def test_settled_money_that_collapses_is_not_believed(
    tmp_path: Path, then: list[str | None], refused: str | None
) -> None:
    first = {day: ["100"] for day in DAYS.days()}
    second = {day: [value] if value else [] for day, value in zip(DAYS.days(), then, strict=True)}
    with open_warehouse(tmp_path / "warehouse.duckdb") as warehouse:
        load_landing(warehouse, landed(tmp_path, first, LATER))
        again = landed(tmp_path, second, LATER + timedelta(days=1))
        if refused is None:
            load_landing(warehouse, again)
            return
        with pytest.raises(LoadRefused, match=refused) as raised:
            load_landing(warehouse, again)
        assert "--accept-collapse REASON" in str(raised.value)
        assert warehouse.execute("SELECT sum(cost_usd) FROM raw.openai_costs").fetchall() == [(300,)]
        assert warehouse.execute("SELECT count(*) FROM billing.restatements").fetchall() == [(0,)]
        third = landed(tmp_path, second, LATER + timedelta(days=2))
        load_landing(warehouse, third, accepted_reason="credit of 1 June")
        accepted = warehouse.execute("SELECT accepted_reason FROM ops.loads WHERE result = 'loaded'").fetchall()
    assert accepted == [(None,), ("credit of 1 June",)]


def test_provisional_money_may_fall(tmp_path: Path) -> None:
    soon = start_of(DAYS.end) + timedelta(hours=2)
    with open_warehouse(tmp_path / "warehouse.duckdb") as warehouse:
        load_landing(warehouse, landed(tmp_path, {day: ["100"] for day in DAYS.days()}, soon))
        load_landing(warehouse, landed(tmp_path, {day: ["1"] for day in DAYS.days()}, soon + timedelta(hours=1)))
        assert warehouse.execute("SELECT sum(cost_usd) FROM raw.openai_costs").fetchall() == [(3,)]
