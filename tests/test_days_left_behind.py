"""After nights that were missed or failed, a night begins where they left off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from assets.automation import nightly_02_utc
from assets.partitions import RANGE_END, RANGE_START
from tokenboard_etl.cli import nightly_window
from tokenboard_etl.periods import ONE_DAY, Window
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.rereads import CATCH_UP_DAYS, nightly_days
from tokenboard_etl.settings import Settings, load_settings
from tokenboard_etl.warehouse.connection import configure
from tokenboard_etl.warehouse.migrations import migrate
from tokenboard_etl.warehouse.models import build_models
from tokenboard_etl.warehouse.sql_files import read_sql

TODAY = date(2026, 6, 15)
YESTERDAY = TODAY - ONE_DAY
USUAL = Window.of_days(date(2026, 6, 10), YESTERDAY)


@dataclass(frozen=True)
class Read:
    """One report of one account, read at two in the night of a day; `days` of it, yesterday the last."""

    on: date
    days: int = 5
    report: str = "costs"
    connection: str = "openai"
    result: str = "loaded"


def nights(first: date, last: date, **more: str) -> list[Read]:
    """Usual nights, both included."""
    return [replace(Read(day), **more) for day in Window.of_days(first, last).days()]


@pytest.fixture(scope="module")
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        configure(connection)
        migrate(connection)
        build_models(connection, datetime(2026, 6, 15, tzinfo=UTC), 4)
        yield connection


@pytest.fixture
def settings(sandbox: RunningSandbox, tmp_path: Path) -> Settings:
    now = datetime(2026, 6, 15, 2, tzinfo=UTC)
    return load_settings(**sandbox.env(), TOKENBOARD_HOME=str(tmp_path), TOKENBOARD_NOW=now.isoformat())


@pytest.fixture
def start_after(warehouse: duckdb.DuckDBPyConnection, settings: Settings) -> Callable[[list[Read], date], date]:
    """Where tonight begins after these reads, the figures of which were published in the night of a day."""

    def start(reads: list[Read], published_on: date) -> date:
        for table in ("ops.loads", "ops.load_days"):
            warehouse.execute(f"DELETE FROM {table}")
        for number, read in enumerate(reads):
            began = datetime(read.on.year, read.on.month, read.on.day, 2, tzinfo=UTC)
            load, first = f"load-{number}", read.on - timedelta(days=read.days)
            warehouse.execute(
                "INSERT INTO ops.loads VALUES "
                "($1, $2, $2, $3, $4, $5, $6, $6, 1, 1, 1, 'x', 0, $7, NULL, NULL, NULL, NULL)",
                [load, read.connection, read.report, first, read.on, began, read.result],
            )
            for day in Window(first, read.on).days() if read.result == "loaded" else ():
                warehouse.execute(
                    "INSERT INTO ops.load_days VALUES ($1, $2, $2, $3, $4, $5, $5, 1, 1)",
                    [load, read.connection, read.report, day, began],
                )
        warehouse.execute("UPDATE ops.clock SET as_of = $1", [published_on])
        settings.published_path.parent.mkdir(exist_ok=True)
        settings.published_path.unlink(missing_ok=True)
        warehouse.execute(f"ATTACH '{settings.published_path}' AS published")
        warehouse.execute("CREATE SCHEMA published.ops")
        warehouse.execute("CREATE TABLE published.ops.loads AS FROM ops.loads")
        warehouse.execute(f"CREATE TABLE published.ops.source_days AS {read_sql('ops.source_days').query}")
        warehouse.execute("DETACH published")
        window = nightly_days(settings, TODAY)
        assert window.last == YESTERDAY
        return window.start

    return start


MAY_20, JUNE_5 = date(2026, 5, 20), date(2026, 6, 5)
USUAL_NIGHTS = nights(MAY_20, YESTERDAY)
ACTIVITY = {"report": "activity", "connection": "openrouter"}
CASES = {
    "none was missed": (USUAL_NIGHTS, YESTERDAY, USUAL.start),
    "one was missed": (nights(MAY_20, date(2026, 6, 13)), date(2026, 6, 13), date(2026, 6, 9)),
    "nine were missed": (nights(MAY_20, JUNE_5), JUNE_5, date(2026, 6, 1)),
    "all were missed for longer than we go back": (
        nights(date(2026, 4, 1), date(2026, 4, 20)),
        date(2026, 4, 20),
        TODAY - timedelta(days=CATCH_UP_DAYS),
    ),
    "one report was not read for a week": (
        [*USUAL_NIGHTS, *nights(MAY_20, date(2026, 6, 7), report="completions")],
        YESTERDAY,
        date(2026, 6, 3),
    ),
    "one night in the middle was missed": (
        [*nights(MAY_20, JUNE_5), *nights(JUNE_5 + 2 * ONE_DAY, YESTERDAY)],
        YESTERDAY,
        date(2026, 6, 1),
    ),
    "a report that the key may not read": (
        [*USUAL_NIGHTS, *nights(MAY_20, YESTERDAY, report="completions", result="unavailable")],
        YESTERDAY,
        USUAL.start,
    ),
    "an account that is read no more": (
        [*USUAL_NIGHTS, *nights(MAY_20, JUNE_5, connection="openai-gone")],
        YESTERDAY,
        USUAL.start,
    ),
    "days that the provider no longer answers about": (
        [*USUAL_NIGHTS, *nights(date(2026, 5, 1), date(2026, 5, 15), **ACTIVITY)],
        YESTERDAY,
        TODAY - timedelta(days=29),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_night_begins_at_the_first_day_that_was_not_read_since_it_settled(
    start_after: Callable[[list[Read], date], date], case: str
) -> None:
    reads, published_on, expected = CASES[case]
    assert start_after(reads, published_on) == expected


def test_the_command_and_the_schedule_ask_for_those_days(
    start_after: Callable[[list[Read], date], date],
    settings: Settings,
    sandbox: RunningSandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start_after(nights(MAY_20, JUNE_5), JUNE_5)
    expected = Window.of_days(date(2026, 6, 1), YESTERDAY)
    assert nightly_window(settings, None, None) == expected
    assert nightly_window(settings, None, str(YESTERDAY)) == USUAL
    for name, value in {**sandbox.env(), "TOKENBOARD_HOME": str(settings.home)}.items():
        monkeypatch.setenv(name, value)
    context = dg.build_schedule_context(scheduled_execution_time=settings.now)
    (request,) = nightly_02_utc.evaluate_tick(context).run_requests
    assert (request.tags[RANGE_START], request.tags[RANGE_END]) == (str(expected.start), str(expected.last))


@pytest.mark.parametrize("content", [b"", b"no database"])
def test_a_published_file_that_cannot_be_read_widens_nothing(
    settings: Settings, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    assert nightly_days(settings, TODAY) == USUAL
    settings.published_path.parent.mkdir()
    settings.published_path.write_bytes(content)
    assert nightly_days(settings, TODAY) == USUAL
    assert "which days earlier nights left behind is not known" in caplog.text
