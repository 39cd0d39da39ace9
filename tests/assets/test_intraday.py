"""The running day in runs of five minutes: what is shown is what the providers' world holds at that moment."""

from __future__ import annotations

import asyncio
import logging
import stat
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from assets.automation import intraday_5_min
from assets.run import instance_for, run_intraday, run_nightly, run_rebuild
from tests.billing.conftest import usd_of
from tokenboard_etl.connections import connections
from tokenboard_etl.errors import ProviderRejected
from tokenboard_etl.extraction import LIVE, Undertaking, extract_all
from tokenboard_etl.periods import Window, start_of, utc_day
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.settings import Settings, load_settings
from tokenboard_etl.tenants.csv_import import import_tenants
from tokenboard_etl.warehouse.connection import open_warehouse

MORNING = datetime(2026, 6, 15, 3, 58, 20, tzinfo=UTC)
EVENING = datetime(2026, 6, 15, 22, 58, 20, tzinfo=UTC)
TODAY, TOMORROW = date(2026, 6, 15), date(2026, 6, 16)
COMPLETIONS = "GET /openai/v1/organization/usage/completions"

At = Callable[..., Settings]


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@pytest.fixture
def at(sandbox: RunningSandbox, tmp_path: Path) -> At:
    """Moves both clocks to a moment, the provider's by `behind` less; returns the settings of that moment."""

    def moved(now: datetime, behind: timedelta = timedelta(0), **more: str) -> Settings:
        sandbox.set_clock(now - behind)
        home = str(tmp_path / "home")
        return load_settings(**sandbox.env(), TOKENBOARD_HOME=home, TOKENBOARD_NOW=now.isoformat(), **more)

    return moved


def shown(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(settings.intraday_path, read_only=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.execute(query).fetchall()


def shown_minutes(settings: Settings) -> dict[tuple[Any, ...], tuple[int, int, int, Fraction]]:
    """(minute, project, key, model, batch, tier) to (input tokens, output tokens, requests, USD)."""
    rows = shown(
        settings,
        """
        SELECT minute_at, account_id, api_key_id, model, batch, service_tier,
            input_tokens, output_tokens, requests, estimated_cost_usd
        FROM usage.intraday WHERE provider = 'openai'
        """,
    )
    return {row[:6]: (*row[6:9], Fraction(row[9])) for row in rows}


def true_minutes(
    sandbox: RunningSandbox, since: date, now: datetime
) -> dict[tuple[Any, ...], tuple[int, int, int, Fraction]]:
    """The same from the world: every whole minute from 00:00 of a day on."""
    found = dict[tuple[Any, ...], tuple[int, int, int, Fraction]]()
    minute = start_of(since)
    while minute + timedelta(minutes=1) <= now:
        number = (minute - start_of(utc_day(minute))) // timedelta(minutes=1)
        org = sandbox.world.organizations[0].id
        for row in sandbox.world.openai.completions(org, utc_day(minute), now, number, number + 1):
            key = (minute, row.project_id, row.api_key_id, row.model, str(row.batch).lower(), row.service_tier)
            tokens_in, tokens_out, requests, usd = found.get(key, (0, 0, 0, Fraction(0)))
            found[key] = (
                tokens_in + row.input_tokens,
                tokens_out + row.output_tokens,
                requests + row.num_model_requests,
                usd + usd_of(row),
            )
        minute += timedelta(minutes=1)
    return found


def shown_counters(settings: Settings) -> dict[tuple[str, date], Decimal]:
    """(key, day) to what its rows add up to."""
    rows = shown(
        settings,
        """
        SELECT account_id, usage_date, sum(estimated_cost_usd) FROM usage.intraday
        WHERE provider = 'openrouter' GROUP BY ALL
        """,
    )
    return {(key, day): usd for key, day, usd in rows}


def true_counters(sandbox: RunningSandbox, day: date, now: datetime) -> dict[tuple[str, date], Decimal]:
    """What each key has spent on a day up to a moment, where that is anything."""
    spent: dict[tuple[str, date], Decimal] = defaultdict(Decimal)
    for row in sandbox.world.openrouter_spend(day, now):
        if row.key_hash and row.usage_usd:
            spent[row.key_hash, day] += row.usage_usd
    return dict(spent)


def test_every_run_shows_every_minute_and_counter_as_they_are_also_over_midnight(
    sandbox: RunningSandbox, at: At, instance: dg.DagsterInstance
) -> None:
    midnight = start_of(TOMORROW)
    moments = [
        EVENING,
        EVENING + timedelta(minutes=5),
        midnight + timedelta(seconds=20),
        midnight + timedelta(minutes=35, seconds=20),
    ]
    newest = dict[tuple[str, date], Decimal]()
    for now in moments:
        settings = at(now)
        run_intraday(settings, instance)
        assert shown_minutes(settings) == true_minutes(sandbox, TODAY, now)
        newest |= true_counters(sandbox, utc_day(now), now)
        assert shown_counters(settings) == newest
    assert {day for _, day in newest} == {TODAY, TOMORROW}


def test_only_the_last_minutes_are_asked_for_again(at: At, instance: dg.DagsterInstance) -> None:
    for number in range(2):
        settings = at(MORNING + timedelta(minutes=5 * number))
        run_intraday(settings, instance)
    with open_warehouse(settings.warehouse_path) as warehouse:
        changed = warehouse.execute(
            """
            SELECT min(minute_at) FROM raw.openai_completions_minutes
            WHERE load_id = (SELECT max(load_id) FROM ops.loads WHERE report = 'completions_minutes')
            """
        ).fetchall()
    since = MORNING.replace(second=0) - timedelta(minutes=60)
    assert since <= changed[0][0] < since + timedelta(minutes=15)


def test_minutes_that_arrive_late_are_there_after_the_next_run(
    sandbox: RunningSandbox, at: At, instance: dg.DagsterInstance
) -> None:
    late = at(MORNING, behind=timedelta(minutes=40, seconds=30))
    run_intraday(late, instance)
    assert shown_minutes(late) != true_minutes(sandbox, TODAY, MORNING)
    settings = at(MORNING + timedelta(minutes=5))
    run_intraday(settings, instance)
    assert shown_minutes(settings) == true_minutes(sandbox, TODAY, settings.now)


def test_each_row_is_its_tenants_at_the_margin_of_its_day(
    sandbox: RunningSandbox, at: At, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    (tmp_path / "tenants.csv").write_text(sandbox.world.tenants_csv())
    settings = at(EVENING)
    with open_warehouse(settings.warehouse_path) as warehouse:
        import_tenants(warehouse, tmp_path / "tenants.csv", EVENING)
    run_intraday(settings, instance)
    settings = at(start_of(TOMORROW) + timedelta(minutes=30), PROFIT_MARGIN_PERCENTAGE="40", OPENROUTER_MARKUP="1.55")
    run_intraday(settings, instance)
    org = sandbox.world.organizations[0].id
    owners = {account: t.tenant_id for t in sandbox.world.tenants for account in t.openai_projects[org]}
    owners |= {key: t.tenant_id for t in sandbox.world.tenants for key in t.openrouter_keys}
    multipliers = {
        ("openai", TODAY): Fraction("1.25"),
        ("openai", TOMORROW): Fraction("1.4"),
        ("openrouter", TODAY): Fraction("1.3"),
        ("openrouter", TOMORROW): Fraction("1.55"),
    }
    rows = shown(
        settings,
        """
        SELECT provider, usage_date, account_id, tenant_id, estimated_cost_usd, estimated_billed_usd, unpriced_reason
        FROM usage.intraday
        """,
    )
    for provider, day, account, tenant, cost, billed, reason in rows:
        assert (tenant, reason) == (owners.get(account, "unallocated"), None)
        assert Fraction(billed) == (Fraction(cost) * multipliers[provider, day] if account in owners else 0)
    assert {row[:2] for row in rows if row[5]} == set(multipliers)
    assert {row[3] for row in rows} >= {"unallocated", *owners.values()} - {None}


def landed(settings: Settings) -> set[str]:
    return {path.parent.name for report in LIVE for path in settings.landing_path.glob(f"*/{report.name}/*/manifest*")}


def test_a_day_is_gone_once_the_night_has_loaded_its_real_cost(
    sandbox: RunningSandbox, at: At, instance: dg.DagsterInstance
) -> None:
    for now in (EVENING, start_of(TOMORROW) + timedelta(minutes=3)):
        settings = at(now)
        run_intraday(settings, instance)
    evening, morning = sorted(landed(settings))[0:2], sorted(landed(settings))[2:4]
    night = at(start_of(TOMORROW) + timedelta(hours=2))
    run_nightly(night, Window(TODAY - timedelta(days=1), TOMORROW), instance)
    with duckdb.connect(night.warehouse_path) as warehouse:
        days = warehouse.execute("SELECT DISTINCT usage_date FROM usage.intraday").fetchall()
    assert days == [(TOMORROW,)]
    with duckdb.connect(night.published_path, read_only=True) as published:
        tables = published.execute("SELECT schema_name || '.' || table_name FROM duckdb_tables()").fetchall()
        reports = published.execute("SELECT DISTINCT report FROM ops.source_days").fetchall()
    assert ("usage.intraday",) not in tables
    assert ("billing.charges",) in tables
    assert not {(report.name,) for report in LIVE} & set(reports)

    settings = at(start_of(TOMORROW) + timedelta(hours=2, minutes=5))
    run_intraday(settings, instance)
    assert shown_minutes(settings) == true_minutes(sandbox, TOMORROW, settings.now)
    assert {day for _, day in shown_counters(settings)} == {TOMORROW}
    assert landed(settings).isdisjoint(evening)
    assert landed(settings) > set(morning)
    with duckdb.connect(settings.warehouse_path) as warehouse:
        loads = warehouse.execute("SELECT load_id FROM ops.loads WHERE pruned_at IS NULL").fetchall()
        raw = warehouse.execute("SELECT DISTINCT load_id FROM raw.openai_completions_minutes").fetchall()
        raw += warehouse.execute("SELECT DISTINCT load_id FROM raw.openrouter_key_readings").fetchall()
    assert {load for (load,) in loads} >= landed(settings)
    assert {load for (load,) in loads}.isdisjoint(evening)
    assert {load for (load,) in raw} <= landed(settings)


def test_two_runs_in_a_row_and_a_rebuild_change_nothing(at: At, instance: dg.DagsterInstance) -> None:
    settings = at(MORNING)
    run_intraday(settings, instance)
    settings = at(MORNING + timedelta(minutes=5))
    run_intraday(settings, instance)
    before = shown(settings, "FROM usage.intraday ORDER BY ALL")
    run_intraday(settings, instance)
    assert shown(settings, "FROM usage.intraday ORDER BY ALL") == before
    tables = ("usage.intraday", "raw.openai_completions_minutes", "raw.openrouter_key_readings")
    with duckdb.connect(settings.warehouse_path) as warehouse:
        built = [warehouse.execute(f"FROM {table} ORDER BY ALL").fetchall() for table in tables]
    run_rebuild(settings, instance)
    with duckdb.connect(settings.warehouse_path) as warehouse:
        assert [warehouse.execute(f"FROM {table} ORDER BY ALL").fetchall() for table in tables] == built
    assert all(built)


def test_what_was_landed_before_a_kill_is_loaded_by_the_next_run(
    sandbox: RunningSandbox, at: At, instance: dg.DagsterInstance
) -> None:
    killed = at(MORNING)
    about = Undertaking(Window.of_days(TODAY - timedelta(days=1), TODAY), killed.landing_path, lambda: killed.now)
    asyncio.run(extract_all(connections(killed), LIVE, about))
    settings = at(MORNING + timedelta(minutes=5))
    run_intraday(settings, instance)
    assert shown_minutes(settings) == true_minutes(sandbox, TODAY, settings.now)
    readings = shown(settings, "SELECT DISTINCT minute_at FROM usage.intraday WHERE source = 'counter' ORDER BY 1")
    first = MORNING.replace(second=0)
    assert readings == [(first,), (first + timedelta(minutes=5),)]


def test_while_another_process_writes_a_run_lands_and_leaves_the_rest_to_the_next(
    sandbox: RunningSandbox, at: At, instance: dg.DagsterInstance, caplog: pytest.LogCaptureFixture
) -> None:
    settings = at(MORNING)
    with open_warehouse(settings.warehouse_path), caplog.at_level(logging.INFO, "tokenboard.intraday"):
        run_intraday(settings, instance)
    assert not settings.intraday_path.exists()
    (said,) = [record.getMessage() for record in caplog.records if record.name == "tokenboard.intraday"]
    assert "has been writing warehouse.duckdb" in said
    assert len(landed(settings)) == 2
    settings = at(MORNING + timedelta(minutes=5))
    run_intraday(settings, instance)
    assert shown_minutes(settings) == true_minutes(sandbox, TODAY, settings.now)


def test_a_provider_that_fails_is_said_and_the_other_one_is_shown(
    sandbox: RunningSandbox, at: At, instance: dg.DagsterInstance
) -> None:
    sandbox.add_fault("status", COMPLETIONS, status=400)
    settings = at(MORNING)
    with pytest.raises(ProviderRejected, match="/organization/usage/completions"):
        run_intraday(settings, instance)
    assert shown_minutes(settings) == {}
    assert shown_counters(settings) == true_counters(sandbox, TODAY, MORNING)
    sandbox.clear_faults()
    settings = at(MORNING + timedelta(minutes=5))
    run_intraday(settings, instance)
    assert shown_minutes(settings) == true_minutes(sandbox, TODAY, settings.now)


def test_the_file_holds_one_table_read_only_with_its_comments(at: At, instance: dg.DagsterInstance) -> None:
    settings = at(MORNING)
    run_intraday(settings, instance)
    with duckdb.connect(settings.intraday_path, read_only=True) as still_open:
        run_intraday(settings, instance)
        tables = "SELECT schema_name, table_name, comment FROM duckdb_tables()"
        ((schema, table, comment),) = still_open.execute(tables).fetchall()
        silent = still_open.execute("SELECT column_name FROM duckdb_columns() WHERE comment IS NULL AND NOT internal")
        assert silent.fetchall() == []
    assert (schema, table) == ("usage", "intraday")
    assert "Grain: minute" in comment
    assert stat.S_IMODE(settings.intraday_path.stat().st_mode) == 0o444
    assert sorted(path.name for path in settings.intraday_path.parent.iterdir()) == ["intraday.duckdb", "publications"]


def test_the_schedule_asks_every_five_minutes_unless_a_run_is_under_way(tmp_path: Path) -> None:
    tick = datetime(2026, 6, 15, 10, 5, tzinfo=UTC)
    assert (intraday_5_min.cron_schedule, intraday_5_min.execution_timezone) == ("*/5 * * * *", "UTC")
    with (
        instance_for(tmp_path / "dagster") as instance,
        dg.build_schedule_context(instance=instance, scheduled_execution_time=tick) as context,
    ):
        assert len(intraday_5_min.evaluate_tick(context).run_requests) == 1
        instance.add_run(dg.DagsterRun(job_name="nightly", status=dg.DagsterRunStatus.STARTED))
        instance.add_run(dg.DagsterRun(job_name="intraday", status=dg.DagsterRunStatus.SUCCESS))
        assert len(intraday_5_min.evaluate_tick(context).run_requests) == 1
        instance.add_run(dg.DagsterRun(job_name="intraday", status=dg.DagsterRunStatus.STARTING))
        skipped = intraday_5_min.evaluate_tick(context)
    assert skipped.run_requests == []
    assert "has not ended" in skipped.skip_message
