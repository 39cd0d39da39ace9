"""From landings into the warehouse: whole transactions, one writer, and a published file readers can trust."""

from __future__ import annotations

import json
import logging
import stat
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from examples import examples
from tokenboard_etl.errors import (
    CheckFailed,
    LandingDamaged,
    LoadRefused,
    SchemaTooNew,
    StorageFailed,
    WarehouseBusy,
    WarehouseError,
)
from tokenboard_etl.http import Answer
from tokenboard_etl.landing import Landing, begin
from tokenboard_etl.periods import Window
from tokenboard_etl.providers.wire import Request
from tokenboard_etl.warehouse import load
from tokenboard_etl.warehouse.checks import Finding, all_checks, refuse_violations, run_checks
from tokenboard_etl.warehouse.connection import configure, open_warehouse, transaction
from tokenboard_etl.warehouse.loads import loaded_ids, mark_months
from tokenboard_etl.warehouse.migrations import migrate
from tokenboard_etl.warehouse.models import build_models
from tokenboard_etl.warehouse.publications import publications_of
from tokenboard_etl.warehouse.publish import publish

NOW = datetime(2026, 6, 15, 2, 0, tzinfo=UTC)
JUNE = Window(date(2026, 6, 1), date(2026, 6, 4))
FIRST, SECOND, THIRD = JUNE.days()
EPOCH = date(1970, 1, 1)

Rows = dict[date, list[dict[str, Any]]]


def row(
    value: object, project: str | None = "p1", item: str | None = "gpt, input", key: str | None = "k1"
) -> dict[str, Any]:
    return {
        "object": "organization.costs.result",
        "amount": {"value": value, "currency": "usd"},
        "line_item": item,
        "project_id": project,
        "api_key_id": key,
        "quantity": 2.0,
        "quantity_unit": "tokens",
    }


def page(rows: Rows) -> bytes:
    buckets = [
        {
            "object": "bucket",
            "start_time": (day - EPOCH).days * 86_400,
            "end_time": ((day - EPOCH).days + 1) * 86_400,
            "results": results,
        }
        for day, results in rows.items()
    ]
    return json.dumps({"object": "page", "data": buckets, "has_more": False, "next_page": None}).encode()


@pytest.fixture
def land(tmp_path: Path) -> Callable[..., Landing]:
    """Puts bodies into a complete landing."""

    def made(
        *bodies: bytes | Rows,
        days: Iterable[date] | None = None,
        at: datetime = NOW,
        report: str = "costs",
        window: Window = JUNE,
        connection_id: str = "openai",
    ) -> Landing:
        opened = begin(tmp_path / "landing", connection_id, "openai", report, window, at)
        path = "/organization/projects" if report == "projects" else "/organization/costs"
        for number, body in enumerate(bodies):
            request = Request("openai", path, (("page", str(number)),))
            content = page(body) if isinstance(body, dict) else body
            opened.add(request, Answer(200, content, None), at)
        confirmed = None if report == "projects" else frozenset(window.days() if days is None else days)
        return opened.complete(confirmed, at + timedelta(seconds=5))

    return made


@pytest.fixture
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty warehouse in memory."""
    connection = duckdb.connect()
    configure(connection)
    migrate(connection)
    yield connection
    connection.close()


def costs(connection: duckdb.DuckDBPyConnection) -> dict[tuple[Any, ...], Decimal]:
    rows = connection.execute(
        "SELECT connection_id, usage_date, project_id, line_item, api_key_id, cost_usd FROM raw.openai_costs"
    ).fetchall()
    assert len({each[:-1] for each in rows}) == len(rows)
    return {each[:-1]: each[-1] for each in rows}


load_landing = partial(load.load_landing, settle_time=timedelta(days=365))
"""These tests are about replacing what may still change; settled figures have a guard of their own."""


def contents(connection: duckdb.DuckDBPyConnection, but: str | None = None) -> dict[str, list[tuple[Any, ...]]]:
    """Everything in every table, so that "nothing changed" can be said; of all tables `but` one."""
    tables = connection.execute(
        "SELECT schema_name || '.' || table_name FROM duckdb_tables() WHERE NOT temporary"
    ).fetchall()
    return {name: sorted(connection.execute(f"FROM {name}").fetchall(), key=repr) for (name,) in tables if name != but}


def at(day: date, project: str = "p1", item: str = "gpt, input", key: str = "k1") -> tuple[Any, ...]:
    return ("openai", day, project, item, key)


# --- loading --------------------------------------------------------------------------------------------------------


def test_rows_with_equal_keys_are_summed(land: Any, warehouse: duckdb.DuckDBPyConnection) -> None:
    assert load_landing(warehouse, land({FIRST: [row("1.25"), row("0.000000000000000001"), row(2)]})) == 1
    assert costs(warehouse) == {at(FIRST): Decimal("3.250000000000000001")}
    assert warehouse.execute("SELECT quantity, provider_rows FROM raw.openai_costs").fetchall() == [(6, 3)]


def test_equal_keys_on_two_pages_are_summed(land: Any, warehouse: duckdb.DuckDBPyConnection) -> None:
    load_landing(warehouse, land({FIRST: [row("1")]}, {FIRST: [row("2")], SECOND: [row("4")]}))
    assert costs(warehouse) == {at(FIRST): 3, at(SECOND): 4}


_amounts = st.decimals(min_value=-(10**9), max_value=10**9, places=18).map(lambda amount: f"{amount:f}")
_ids = st.sampled_from((None, "", "a", "b"))


@settings(max_examples=examples(50), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from((FIRST, SECOND, THIRD)), _ids, _ids, _ids, _amounts), max_size=30))
def test_a_load_holds_the_exact_sum_of_each_key(
    land: Any, warehouse: duckdb.DuckDBPyConnection, given_rows: list[tuple[date, Any, Any, Any, str]]
) -> None:
    rows: Rows = {}
    expected: Counter[tuple[Any, ...]] = Counter()
    for day, project, item, key, amount in given_rows:
        rows.setdefault(day, []).append(row(amount, project, item, key))
        expected["openai", day, project or "", item or "", key or ""] += Fraction(amount)
    warehouse.execute("DELETE FROM ops.load_days")
    load_landing(warehouse, land(rows))
    assert {key: Fraction(cost) for key, cost in costs(warehouse).items()} == dict(expected)


def test_a_day_without_rows_takes_away_what_was_there(land: Any, warehouse: duckdb.DuckDBPyConnection) -> None:
    load_landing(warehouse, land({FIRST: [row("1")], SECOND: [row("2")]}))
    assert load_landing(warehouse, land({FIRST: [], SECOND: [row("5")]}, at=NOW + timedelta(hours=1))) == 1
    assert costs(warehouse) == {at(SECOND): 5}
    days = warehouse.execute(
        "SELECT usage_date, rows, total_usd FROM ops.load_days WHERE started_at > $1 ORDER BY 1", [NOW]
    ).fetchall()
    assert days == [(FIRST, 0, 0), (SECOND, 1, 5), (THIRD, 0, 0)]


def test_a_load_without_any_page_takes_the_confirmed_days_away(land: Any, warehouse: duckdb.DuckDBPyConnection) -> None:
    load_landing(warehouse, land({FIRST: [row("1")]}))
    load_landing(warehouse, land(at=NOW + timedelta(hours=1)))
    assert costs(warehouse) == {}


def test_a_row_that_is_gone_on_the_next_read_is_gone(land: Any, warehouse: duckdb.DuckDBPyConnection) -> None:
    load_landing(warehouse, land({FIRST: [row("1"), row("2", project="p2")]}))
    load_landing(warehouse, land({FIRST: [row("2", project="p2")]}, at=NOW + timedelta(hours=1)))
    assert costs(warehouse) == {at(FIRST, "p2"): 2}


def test_loading_the_same_days_twice_changes_nothing(land: Any, warehouse: duckdb.DuckDBPyConnection) -> None:
    landing = land({FIRST: [row("1"), row("1"), row("3", key=None)], SECOND: [row("0E-6176")]})
    load_landing(warehouse, landing)
    before = contents(warehouse)
    load_landing(warehouse, landing)
    assert contents(warehouse) == before
    assert loaded_ids(warehouse) == {landing.load_id}


def test_an_older_read_never_replaces_a_newer_one(land: Any, warehouse: duckdb.DuckDBPyConnection) -> None:
    newer = land({SECOND: [row("20")]}, days=[SECOND], window=Window(SECOND, THIRD), at=NOW + timedelta(hours=2))
    older = land({FIRST: [row("1")], SECOND: [row("2")], THIRD: [row("3")]}, at=NOW)
    load_landing(warehouse, newer)
    load_landing(warehouse, older)
    assert costs(warehouse) == {at(FIRST): 1, at(SECOND): 20, at(THIRD): 3}


def projects(*names: str) -> bytes:
    listed = [{"id": f"proj_{name}", "name": name, "created_at": 1} for name in names]
    return json.dumps({"object": "list", "data": listed, "has_more": False}).encode()


def test_of_two_snapshots_of_a_day_the_one_that_began_last_counts_whichever_is_loaded_last(
    land: Any, warehouse: duckdb.DuckDBPyConnection
) -> None:
    """Two runs at once may finish in another order than they began; a rebuild goes by when they began."""
    slow, quick = (
        land(projects(name), report="projects", at=NOW + timedelta(minutes=minute))
        for minute, name in enumerate(("old", "new"))
    )
    yesterday = land(projects("before"), report="projects", at=NOW - timedelta(days=1))
    for landing in (quick, slow, yesterday):
        load_landing(warehouse, landing)
    rows = warehouse.execute("SELECT snapshot_date, name FROM raw.openai_projects ORDER BY 1").fetchall()
    assert rows == [(NOW.date() - timedelta(days=1), "before"), (NOW.date(), "new")]
    results = dict(warehouse.execute("SELECT load_id, result FROM ops.loads").fetchall())
    assert results == {quick.load_id: "loaded", slow.load_id: "superseded", yesterday.load_id: "loaded"}


def test_an_older_read_of_known_days_only_is_recorded_as_superseded(
    land: Any, warehouse: duckdb.DuckDBPyConnection
) -> None:
    load_landing(warehouse, land({FIRST: [row("20")]}, at=NOW + timedelta(hours=2)))
    before = contents(warehouse)
    older = land({FIRST: [row("1")]}, at=NOW)
    assert load_landing(warehouse, older) == 0
    after = contents(warehouse)
    assert older.load_id in loaded_ids(warehouse)
    assert warehouse.execute("SELECT result FROM ops.loads ORDER BY started_at").fetchall() == [
        ("superseded",),
        ("loaded",),
    ]
    for table in ("raw.openai_costs", "ops.load_days"):
        assert after[table] == before[table]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (2, 0, 1)])
def test_loads_may_come_in_any_order(land: Any, warehouse: duckdb.DuckDBPyConnection, order: tuple[int, ...]) -> None:
    made = [
        land({FIRST: [row("1")], SECOND: [row("2")]}, days=[FIRST, SECOND], at=NOW),
        land({SECOND: [row("20")], THIRD: [row("30")]}, days=[SECOND, THIRD], at=NOW + timedelta(hours=1)),
        land({THIRD: [row("300")]}, days=[THIRD], at=NOW + timedelta(hours=2)),
    ]
    for number in order:
        load_landing(warehouse, made[number])
    assert costs(warehouse) == {at(FIRST): 1, at(SECOND): 20, at(THIRD): 300}


def test_days_without_a_bucket_keep_what_was_there(land: Any, warehouse: duckdb.DuckDBPyConnection) -> None:
    load_landing(warehouse, land({FIRST: [row("1")], SECOND: [row("2")], THIRD: [row("3")]}))
    load_landing(warehouse, land({SECOND: [row("20")]}, days=[SECOND], at=NOW + timedelta(hours=1)))
    assert costs(warehouse) == {at(FIRST): 1, at(SECOND): 20, at(THIRD): 3}
    confirmed = warehouse.execute("SELECT usage_date FROM ops.load_days WHERE started_at > $1", [NOW]).fetchall()
    assert confirmed == [(SECOND,)]


def test_connections_and_reports_do_not_touch_each_other(land: Any, warehouse: duckdb.DuckDBPyConnection) -> None:
    load_landing(warehouse, land({FIRST: [row("1")]}))
    load_landing(warehouse, land({FIRST: [row("7")]}, connection_id="second", at=NOW + timedelta(hours=1)))
    load_landing(warehouse, land({FIRST: [row("9")]}, report="costs_total", at=NOW + timedelta(hours=2)))
    assert costs(warehouse) == {at(FIRST): 1, ("second", *at(FIRST)[1:]): 7}
    assert warehouse.execute("SELECT cost_usd FROM raw.openai_costs_total").fetchall() == [(9,)]


def test_touched_months_are_marked_for_the_models(land: Any, warehouse: duckdb.DuckDBPyConnection) -> None:
    window = Window(date(2026, 5, 31), date(2026, 6, 2))
    load_landing(warehouse, land({date(2026, 6, 1): [row("1")]}, window=window))
    assert warehouse.execute("SELECT DISTINCT month FROM ops.dirty_months ORDER BY 1").fetchall() == [
        ("2026-05",),
        ("2026-06",),
    ]


def test_a_pretty_printed_body_is_read_like_any_other(land: Any, warehouse: duckdb.DuckDBPyConnection) -> None:
    pretty = json.dumps(json.loads(page({FIRST: [row("1.5"), row("2")]})), indent=4).encode() + b"\n\n"
    load_landing(warehouse, land(pretty, {SECOND: [row("3")]}))
    assert costs(warehouse) == {at(FIRST): Decimal("3.5"), at(SECOND): 3}


@pytest.mark.parametrize(
    "bad", [None, "abc", "", {}, "1" + "0" * 25, [1]], ids=["null", "text", "empty", "object", "huge", "list"]
)
def test_a_bad_amount_changes_nothing_at_all(land: Any, warehouse: duckdb.DuckDBPyConnection, bad: object) -> None:
    load_landing(warehouse, land({FIRST: [row("1")], SECOND: [row("2")]}))
    before = contents(warehouse, but="ops.loads")
    broken = land({FIRST: [row("100")], SECOND: [row("200"), row(bad)]}, at=NOW + timedelta(hours=1))
    with pytest.raises(LoadRefused, match="2026-06-01") as raised:
        load_landing(warehouse, broken)
    assert str(broken.folder) in str(raised.value)
    assert contents(warehouse, but="ops.loads") == before
    assert broken.load_id in loaded_ids(warehouse), "it would be tried again before every later load"
    load_landing(warehouse, land({FIRST: [row("5")]}, at=NOW + timedelta(hours=2)))
    assert costs(warehouse) == {at(FIRST): 5}


@pytest.mark.parametrize("report", ["costs", "costs_total"])
@pytest.mark.parametrize("currency", ["eur", "EUR", "", "us", "usdt", "cents", None])
def test_another_currency_refuses_the_load(
    land: Any, warehouse: duckdb.DuckDBPyConnection, report: str, currency: str | None
) -> None:
    other = {**row("2"), "amount": {"value": "2", "currency": currency}}
    with pytest.raises(
        LoadRefused, match=f"2026-06-02 is in '{currency or ('' if currency == '' else 'no currency')}', not USD"
    ):
        load_landing(warehouse, land({FIRST: [row("1")], SECOND: [row("1"), other]}, report=report))
    assert costs(warehouse) == {}


@pytest.mark.parametrize("currency", ["usd", "USD", "Usd"])
def test_dollars_may_be_spelled_in_any_case(land: Any, warehouse: duckdb.DuckDBPyConnection, currency: str) -> None:
    load_landing(warehouse, land({FIRST: [{**row("2"), "amount": {"value": "2", "currency": currency}}]}))
    assert costs(warehouse) == {at(FIRST): 2}


def test_an_absent_amount_changes_nothing_at_all(land: Any, warehouse: duckdb.DuckDBPyConnection) -> None:
    before = contents(warehouse, but="ops.loads")
    without = {**row("1"), "amount": {"currency": "usd"}}
    with pytest.raises(LoadRefused):
        load_landing(warehouse, land({FIRST: [row("1"), without]}))
    assert contents(warehouse, but="ops.loads") == before


def test_what_does_not_fit_into_memory_is_loaded_without_a_limit(
    land: Any, warehouse: duckdb.DuckDBPyConnection, caplog: pytest.LogCaptureFixture
) -> None:
    wide = {FIRST: [row("1.5", project=f"p{number}", key="k" * 2000) for number in range(2000)]}
    with caplog.at_level(logging.INFO, "tokenboard.load"):
        assert load_landing(warehouse, land(wide), memory_bytes=2**20) == 2000
    assert "more memory than is meant for it" in caplog.text
    assert warehouse.execute("SELECT sum(cost_usd) FROM raw.openai_costs").fetchall() == [(Decimal(3000),)]


def test_a_damaged_page_is_not_loaded(land: Any, warehouse: duckdb.DuckDBPyConnection) -> None:
    landing = land({FIRST: [row("1")]})
    (landing.folder / landing.pages[0].file).write_bytes(b"damaged")
    before = contents(warehouse)
    with pytest.raises(LandingDamaged):
        load_landing(warehouse, landing)
    assert contents(warehouse) == before


def test_a_transaction_lets_the_error_through_and_keeps_nothing(warehouse: duckdb.DuckDBPyConnection) -> None:
    def interrupted() -> None:
        with transaction(warehouse):
            mark_months(warehouse, {"2026-06"})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert warehouse.execute("SELECT count(*) FROM ops.dirty_months").fetchall() == [(0,)]


# --- one writer -----------------------------------------------------------------------------------------------------

HOLDER = """
import sys
from pathlib import Path
from tokenboard_etl.warehouse.connection import open_warehouse

with open_warehouse(Path(sys.argv[1])) as connection:
    connection.execute("INSERT INTO ops.dirty_months VALUES ('2026-01')")
    connection.begin()
    connection.execute("INSERT INTO ops.dirty_months VALUES ('2026-02')")
    columns = "tenant_id, name, description, currency, status, created_at"
    connection.execute(f"INSERT INTO registry.tenants ({columns}) VALUES ('half', 'x', 'x', 'USD', 'active', now())")
    print("open", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """A real second process that has the warehouse open."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def never(_seconds: float) -> None:
    raise AssertionError("there was nothing to wait for")


def test_a_second_process_waits_and_then_says_who_is_writing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "warehouse.duckdb"
    waits: list[float] = []
    with holder(path) as process, caplog.at_level(logging.INFO):
        with (
            pytest.raises(WarehouseBusy, match=f"Process {process.pid} ") as raised,
            open_warehouse(path, wait_seconds=0.05, sleep=waits.append),
        ):
            pass
        assert raised.value.retryable
        assert waits
        assert caplog.text.count(f"waiting for process {process.pid}") == 1


def test_without_patience_it_is_busy_at_once(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    with holder(path), pytest.raises(WarehouseBusy), open_warehouse(path, wait_seconds=0, sleep=never):
        pass


def test_the_warehouse_opens_as_soon_as_the_writer_is_done(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    waits: list[float] = []
    with holder(path) as process:

        def wait(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 3:
                process.communicate("")

        with open_warehouse(path, sleep=wait) as connection:
            assert connection.execute("FROM ops.dirty_months").fetchall() == [("2026-01",)]
    assert len(waits) == 3


def test_the_lock_is_free_after_its_holder_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    with holder(path) as process:
        process.kill()
        process.wait()
        with open_warehouse(path, wait_seconds=0, sleep=never) as connection:
            assert connection.execute("FROM ops.dirty_months").fetchall() == [("2026-01",)]


def test_the_lock_is_free_after_an_error(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    with pytest.raises(ZeroDivisionError), open_warehouse(path):
        _ = 1 // 0
    with open_warehouse(path, wait_seconds=0, sleep=never):
        pass


def test_a_file_of_newer_code_is_refused_and_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    with open_warehouse(path) as connection:
        connection.execute("INSERT INTO main.migrations VALUES ('9999_from_the_future', now())")
        before = contents(connection)
    with pytest.raises(SchemaTooNew, match="9999_from_the_future"), open_warehouse(path):
        pass
    with duckdb.connect(path) as connection:
        assert contents(connection) == before


def test_migrations_are_applied_once(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    for _ in range(3):
        with open_warehouse(path) as connection:
            names = connection.execute("SELECT name FROM main.migrations").fetchall()
            assert len(names) == len(set(names)) > 0


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    path.write_bytes(b"something else entirely" * 1000)
    with pytest.raises(WarehouseError, match=str(path)), open_warehouse(path):
        pass


def test_the_warehouse_speaks_utc_and_fetches_no_extension(tmp_path: Path) -> None:
    with open_warehouse(tmp_path / "warehouse.duckdb") as connection:
        values = connection.execute(
            "SELECT current_setting('TimeZone'), current_setting('autoinstall_known_extensions')"
        ).fetchall()
    assert values == [("UTC", False)]


# --- models and checks ----------------------------------------------------------------------------------------------


@pytest.fixture
def billed(land: Any, warehouse: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """Three days of cost of two projects, one of them bound to a tenant, rated and modelled."""
    projects = [
        {"id": name, "object": "organization.project", "name": name, "created_at": 1, "status": "active"}
        for name in ("p1", "p2")
    ]
    listed = json.dumps({"object": "list", "data": projects, "has_more": False}).encode()
    rows = {day: [row("1.5"), row("0.25", project="p2")] for day in JUNE.days()}
    load_landing(warehouse, land(listed, report="projects"))
    load_landing(warehouse, land(rows))
    load_landing(warehouse, land({day: [row("1.75")] for day in JUNE.days()}, report="costs_total"))
    warehouse.execute(
        """
        INSERT INTO registry.tenants (tenant_id, name, description, currency, status, created_at)
        VALUES ('t1', 'One', 'x', 'USD', 'active', $now), ('t2', 'Two', 'x', 'USD', 'active', $now)
        """,
        {"now": NOW},
    )
    bind(warehouse, "t1", "p1")
    warehouse.execute("INSERT INTO policy.default_margins VALUES ('r1', 'openai', 1.25, '2024-01-01', NULL, $1)", [NOW])
    build_models(warehouse, NOW, settle_days=4)
    return warehouse


def bind(
    connection: duckdb.DuckDBPyConnection, tenant: str, project: str, start: str = "2026-01-01", end: str | None = None
) -> None:
    connection.execute(
        "INSERT INTO registry.accounts VALUES ($1, 'openai', 'project', $2, $3, $4, $5)",
        [tenant, project, start, end, NOW],
    )


def rebuild(connection: duckdb.DuckDBPyConnection) -> None:
    mark_months(connection, {"2026-06"})
    build_models(connection, NOW, settle_days=4)


def failed(connection: duckdb.DuckDBPyConnection, *, blocking: bool = True) -> set[str]:
    findings = run_checks(connection)
    assert len(findings) == len(all_checks())
    return {found.check.name for found in findings if not found.passed and found.check.blocking is blocking}


def test_a_sound_warehouse_passes_every_blocking_check(billed: duckdb.DuckDBPyConnection) -> None:
    assert failed(billed) == set()
    refuse_violations(run_checks(billed))
    assert billed.execute("SELECT sum(cost_usd), sum(billed_usd) FROM billing.charges").fetchall() == [
        (Decimal("5.25"), Decimal("5.625"))
    ]
    assert billed.execute("SELECT count(*), sum(abs(difference_usd)) FROM billing.reconciliation").fetchall() == [
        (3, 0)
    ]


def test_spend_of_nobody_is_a_warning(billed: duckdb.DuckDBPyConnection) -> None:
    assert "no_unallocated_spend" in failed(billed, blocking=False)


def test_building_again_changes_nothing(billed: duckdb.DuckDBPyConnection) -> None:
    before = contents(billed)
    rebuild(billed)
    assert contents(billed) == before


@pytest.mark.parametrize("column", ["cost_usd", "billed_usd"])
def test_a_charge_that_was_changed_by_the_last_digit_is_found(billed: duckdb.DuckDBPyConnection, column: str) -> None:
    digit = "0.000000000000000001" if column == "cost_usd" else "0.000000000000000000000001"
    billed.execute(
        f"UPDATE billing.charges SET {column} = {column} + {digit} WHERE usage_date = $1 AND account_id = 'p1'", [FIRST]
    )
    assert failed(billed) == {"tenant_days_equal_charges"}


def test_a_raw_row_that_reached_no_charge_is_found(billed: duckdb.DuckDBPyConnection) -> None:
    billed.execute("DELETE FROM billing.charges WHERE usage_date = $1 AND account_id = 'p2'", [SECOND])
    billed.execute("INSERT INTO ops.dirty_months VALUES ('2026-06')")
    assert "tenant_days_equal_charges" in failed(billed)
    billed.execute(
        "UPDATE billing.reconciliation SET difference_usd = 0.000000000000000001 WHERE usage_date = $1", [SECOND]
    )
    assert "difference_is_zero" in failed(billed)


def test_a_duplicate_key_is_found(billed: duckdb.DuckDBPyConnection) -> None:
    billed.execute("INSERT INTO billing.charges BY NAME SELECT * FROM billing.charges LIMIT 1")
    assert "charges_key_is_unique" in failed(billed)


def test_every_keyed_model_is_checked_to_be_unique(billed: duckdb.DuckDBPyConnection) -> None:
    keyed = [check for check in all_checks() if check.name.endswith("_key_is_unique")]
    assert len(keyed) >= 8
    for check in keyed:
        table = check.table
        if not billed.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0]:
            continue
        billed.begin()
        billed.execute(f"INSERT INTO {table} BY NAME SELECT * FROM {table} LIMIT 1")
        assert [found.passed for found in run_checks(billed, [check])] == [False], table
        billed.rollback()


@pytest.mark.parametrize(
    ("tenant", "start", "end"),
    [
        ("t2", "2026-01-01", None),
        ("t2", "2026-06-02", None),
        ("t2", "2025-01-01", "2026-06-03"),
        ("t2", "2026-06-02", "2026-06-03"),
        ("t0", "2026-01-01", None),
        ("t1", "2026-06-02", None),
    ],
)
def test_overlapping_bindings_are_found(
    billed: duckdb.DuckDBPyConnection, tenant: str, start: str, end: str | None
) -> None:
    bind(billed, tenant, "p1", start, end)
    assert "bindings_do_not_overlap" in failed(billed)
    rebuild(billed)
    assert failed(billed) >= {"bindings_do_not_overlap", "difference_is_zero"}


def test_a_binding_that_stands_twice_is_found_once_it_is_modelled(billed: duckdb.DuckDBPyConnection) -> None:
    bind(billed, "t1", "p1")
    rebuild(billed)
    assert failed(billed) >= {"difference_is_zero"}


@pytest.mark.parametrize(("until", "start"), [("2026-06-02", "2026-06-02"), ("2026-03-01", "2026-06-02")])
def test_bindings_that_follow_one_another_are_sound(billed: duckdb.DuckDBPyConnection, until: str, start: str) -> None:
    billed.execute("UPDATE registry.accounts SET valid_until = $1", [until])
    bind(billed, "t2", "p1", start)
    rebuild(billed)
    assert failed(billed) == set()


def test_a_missing_rule_is_found_and_is_no_zero(billed: duckdb.DuckDBPyConnection) -> None:
    billed.execute("DELETE FROM policy.default_margins")
    rebuild(billed)
    assert "every_charge_is_rated" in failed(billed)
    assert billed.execute("SELECT DISTINCT billed_usd FROM billing.charges WHERE tenant_id = 't1'").fetchall() == [
        (None,)
    ]


def test_two_rules_for_one_day_are_found(billed: duckdb.DuckDBPyConnection) -> None:
    billed.execute("INSERT INTO policy.default_margins VALUES ('r2', 'openai', 1.5, '2026-06-02', NULL, $1)", [NOW])
    rebuild(billed)
    assert failed(billed) >= {"difference_is_zero"}


@pytest.mark.parametrize(
    ("now", "name", "blocking"),
    [
        (NOW, "control_total_agrees", True),
        (datetime(2026, 6, 5, 2, tzinfo=UTC), "control_total_moves", False),
    ],
)
def test_a_control_total_that_differs_blocks_on_settled_days_and_warns_before(
    billed: duckdb.DuckDBPyConnection, now: datetime, name: str, blocking: bool
) -> None:
    if not blocking:
        billed.execute("UPDATE ops.load_days SET started_at = $1, finished_at = $1", [now])
        mark_months(billed, {"2026-06"})
        build_models(billed, now, settle_days=4)
        assert failed(billed) == set()
    billed.execute("UPDATE raw.openai_costs_total SET cost_usd = cost_usd + 0.0000000000000001")
    mark_months(billed, {"2026-06"})
    build_models(billed, now, settle_days=4)
    assert name in failed(billed, blocking=blocking)
    assert (failed(billed) != set()) is blocking


def test_rounding_of_the_rows_explains_a_control_total(billed: duckdb.DuckDBPyConnection) -> None:
    billed.execute("UPDATE raw.openai_costs_total SET cost_usd = cost_usd + 0.000000000000000002")
    rebuild(billed)
    assert failed(billed) == set()


def test_a_blocking_violation_is_refused_with_the_rows(billed: duckdb.DuckDBPyConnection) -> None:
    billed.execute("UPDATE billing.reconciliation SET difference_usd = 1 WHERE usage_date = $1", [SECOND])
    with pytest.raises(CheckFailed, match=r"1 blocking check\(s\) failed.*difference_is_zero.*2026-06-02") as raised:
        refuse_violations(run_checks(billed))
    assert "nothing was published" in str(raised.value)


def test_a_warning_is_not_refused() -> None:
    warning = next(check for check in all_checks() if not check.blocking)
    refuse_violations([Finding(warning, 3, ("x=1",))])


# --- publishing -----------------------------------------------------------------------------------------------------

READER = """
import sys
import duckdb

connection = duckdb.connect(sys.argv[1], read_only=True)
for _ in sys.stdin:
    print(connection.execute("SELECT count(*) FROM registry.tenants").fetchall()[0][0], flush=True)
"""


@contextmanager
def reader(path: Path) -> Iterator[Callable[[], int]]:
    """Another process that has the published file open; called, it counts the tenants in it."""
    process = subprocess.Popen(
        [sys.executable, "-c", READER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None

    def count() -> int:
        process.stdin.write("count\n")
        process.stdin.flush()
        return int(process.stdout.readline())

    try:
        yield count
    finally:
        process.communicate()


def register(connection: duckdb.DuckDBPyConnection, tenant_id: str) -> None:
    connection.execute(
        """
        INSERT INTO registry.tenants (tenant_id, name, description, currency, status, created_at)
        VALUES ($1, $1, 'x', 'USD', 'active', $2)
        """,
        [tenant_id, NOW],
    )


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "warehouse.duckdb", tmp_path / "published" / "tokenboard.duckdb"


def test_a_reader_keeps_the_file_it_has_and_a_new_one_sees_the_new(files: tuple[Path, Path]) -> None:
    working, published = files
    with open_warehouse(working) as connection:
        build_models(connection, NOW, settle_days=4)
        register(connection, "t1")
        publish(connection, working, published)
        with reader(published) as old:
            assert old() == 1
            register(connection, "t2")
            publish(connection, working, published)
            assert old() == 1
            with reader(published) as new:
                assert new() == 2
            assert old() == 1


def test_the_published_file_holds_no_raw_data_and_nothing_of_the_policy(files: tuple[Path, Path], land: Any) -> None:
    working, published = files
    with open_warehouse(working) as connection:
        load_landing(connection, land({FIRST: [row("1", project="proj_secret_of_raw")]}))
        connection.execute(
            "INSERT INTO policy.default_margins VALUES ('r1', 'openai', 1.25, '2024-01-01', NULL, $1)", [NOW]
        )
        build_models(connection, NOW, settle_days=4)
        size = publish(connection, working, published)
        tables = {
            name: connection.execute(f"SELECT count(*) FROM {name}").fetchall()[0][0]
            for name in ("billing.charges", "ops.loads", "ops.load_days", "registry.tenants", "billing.reconciliation")
        }
    assert stat.S_IMODE(published.stat().st_mode) == 0o444
    assert published.stat().st_size == size
    with duckdb.connect(published, read_only=True) as copy:
        schemas = {
            name for (name,) in copy.execute("SELECT schema_name FROM duckdb_schemas() WHERE NOT internal").fetchall()
        }
        names = copy.execute("SELECT schema_name || '.' || table_name FROM duckdb_tables()").fetchall()
        views = copy.execute("SELECT DISTINCT schema_name FROM duckdb_views() WHERE NOT internal").fetchall()
        assert views == [("views",)]
        assert schemas <= {"billing", "usage", "credits", "ops", "registry", "views", "main"}
        assert not {"ops.dirty_months", "ops.clock", "main.migrations"} & {name for (name,) in names}
        for name, count in tables.items():
            assert copy.execute(f"SELECT count(*) FROM {name}").fetchall() == [(count,)]
        comments = copy.execute(
            "SELECT count(*) FROM duckdb_columns() WHERE schema_name = 'billing' AND comment IS NULL"
        )
        assert comments.fetchall() == [(0,)]


def test_leftovers_of_a_killed_publication_are_cleared_away(files: tuple[Path, Path]) -> None:
    working, published = files
    published.parent.mkdir()
    for name in (".tokenboard.duckdb.123.part", ".tokenboard.duckdb.123.part.wal"):
        (published.parent / name).write_bytes(b"half")
    with open_warehouse(working) as connection:
        build_models(connection, NOW, settle_days=4)
        publish(connection, working, published)
    assert {path.name for path in published.parent.iterdir()} == {published.name, "publications"}


def test_a_publication_that_fails_leaves_the_old_file(files: tuple[Path, Path]) -> None:
    working, published = files
    with open_warehouse(working) as connection:
        build_models(connection, NOW, settle_days=4)
        publish(connection, working, published)
        before = published.read_bytes()
        connection.begin()
        register(connection, "t1")
        with pytest.raises(duckdb.Error):
            publish(connection, working, published)
        connection.rollback()
        with pytest.raises(StorageFailed):
            publish(connection, working.with_name("absent.duckdb"), published)
    assert published.read_bytes() == before
    assert {path.name for path in published.parent.iterdir()} == {published.name, "publications"}
    assert publications_of(published) == [published.resolve()]


def test_uncommitted_work_of_a_killed_writer_is_not_published(files: tuple[Path, Path]) -> None:
    working, published = files
    with holder(working) as process:
        process.kill()
        process.wait()
    with open_warehouse(working) as connection:
        build_models(connection, NOW, settle_days=4)
        publish(connection, working, published)
    with duckdb.connect(published, read_only=True) as copy:
        assert copy.execute("SELECT count(*) FROM registry.tenants").fetchall() == [(0,)]
