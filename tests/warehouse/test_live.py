"""Minutes and counter readings in the warehouse: what replaces what, and what they amount to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from examples import examples
from tokenboard_etl.billing.margins import record_default_margins
from tokenboard_etl.billing.policy_file import parse_policy
from tokenboard_etl.billing.policy_versions import record_policy
from tokenboard_etl.billing.price_book import record_bundled_prices
from tokenboard_etl.errors import LoadRefused
from tokenboard_etl.http import Answer
from tokenboard_etl.landing import Landing, begin
from tokenboard_etl.periods import ONE_DAY, Window
from tokenboard_etl.providers.wire import Request
from tokenboard_etl.retention import drop_replaced, prune
from tokenboard_etl.warehouse.connection import configure
from tokenboard_etl.warehouse.load import load_landing
from tokenboard_etl.warehouse.migrations import migrate
from tokenboard_etl.warehouse.models import build_models, build_table
from tokenboard_etl.warehouse.publish import INTRADAY
from tokenboard_etl.warehouse.rebuild import live_shares

DAY = date(2026, 6, 15)
TEN = datetime(2026, 6, 15, 10, tzinfo=UTC)
WINDOW = Window.of_days(DAY - ONE_DAY, DAY)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty warehouse in memory, with prices and the default margins."""
    connection = duckdb.connect()
    configure(connection)
    migrate(connection)
    record_bundled_prices(connection, TEN)
    record_default_margins(connection, {"openai": Decimal("1.25"), "openrouter": Decimal("1.3")}, TEN)
    yield connection
    connection.close()


@pytest.fixture
def land(tmp_path: Path) -> Callable[..., Landing]:
    """Puts bodies, each with the moment it arrived, into a complete landing."""

    def made(
        provider: str, *bodies: tuple[datetime, dict[str, Any]], at: datetime, connection_id: str | None = None
    ) -> Landing:
        report, path = {
            "openai": ("completions_minutes", "/organization/usage/completions"),
            "openrouter": ("key_readings", "/keys"),
        }[provider]
        window = Window.of_days(at.date() - ONE_DAY, at.date())
        opened = begin(tmp_path / "landing", connection_id or provider, provider, report, window, at)
        for number, (received_at, body) in enumerate(bodies):
            request = Request(provider, path, (("page", str(number)),))
            opened.add(request, Answer(200, json.dumps(body).encode(), None), received_at)
        return opened.complete(None, at)

    return made


def buckets(*rows: tuple[datetime, int | None], model: str = "gpt-6-sol", **more: Any) -> dict[str, Any]:
    """A page with a bucket per minute; None is a bucket without results."""
    return {
        "data": [
            {
                "start_time": int(minute.timestamp()),
                "end_time": int(minute.timestamp()) + 60,
                "results": []
                if tokens is None
                else [
                    {
                        "project_id": "p",
                        "model": model,
                        "api_key_id": "k",
                        "batch": False,
                        "service_tier": "default",
                        "input_tokens": tokens,
                        "input_audio_tokens": 0,
                        "output_tokens": 0,
                        "num_model_requests": 1,
                        **more,
                    }
                ],
            }
            for minute, tokens in rows
        ],
        "has_more": False,
    }


def keys(**usage_daily: str) -> dict[str, Any]:
    """A page of keys; amounts are written as the provider writes them."""
    return {"data": [{"hash": key, "usage_daily": usd} for key, usd in usage_daily.items()]}


def minutes(connection: duckdb.DuckDBPyConnection) -> dict[datetime, int]:
    return dict(
        connection.execute("SELECT minute_at, input_tokens FROM raw.openai_completions_minutes ORDER BY 1").fetchall()
    )


def intraday(connection: duckdb.DuckDBPyConnection, columns: str) -> list[tuple[Any, ...]]:
    build_table(connection, INTRADAY)
    return connection.execute(f"SELECT {columns} FROM usage.intraday ORDER BY ALL").fetchall()


def test_minutes_are_replaced_where_the_answer_speaks_of_them_also_by_nothing(
    warehouse: duckdb.DuckDBPyConnection, land: Callable[..., Landing]
) -> None:
    first = buckets((TEN, 10), (TEN + MINUTE, 20), (TEN + 2 * MINUTE, 30), (TEN + 3 * MINUTE, 40))
    load_landing(warehouse, land("openai", (TEN, first), at=TEN + 4 * MINUTE))
    other = land("openai", (TEN, buckets((TEN, 7))), at=TEN + 4 * MINUTE, connection_id="another")
    load_landing(warehouse, other)
    second = buckets((TEN + MINUTE, 21), (TEN + 2 * MINUTE, None), (TEN + 4 * MINUTE, 50))
    again = land("openai", (TEN, second), at=TEN + 9 * MINUTE)
    for _ in range(2):
        load_landing(warehouse, again)
        ours = warehouse.execute(
            "SELECT minute_at, input_tokens FROM raw.openai_completions_minutes WHERE connection_id = 'openai'"
        ).fetchall()
        assert dict(ours) == {TEN: 10, TEN + MINUTE: 21, TEN + 3 * MINUTE: 40, TEN + 4 * MINUTE: 50}
    others = warehouse.execute(
        "SELECT input_tokens FROM raw.openai_completions_minutes WHERE connection_id = 'another'"
    )
    assert others.fetchall() == [(7,)]


def test_a_read_that_began_before_a_loaded_one_changes_nothing(
    warehouse: duckdb.DuckDBPyConnection, land: Callable[..., Landing]
) -> None:
    late = land("openai", (TEN, buckets((TEN, 1))), at=TEN + MINUTE)
    load_landing(warehouse, land("openai", (TEN, buckets((TEN, 2))), at=TEN + 2 * MINUTE))
    assert load_landing(warehouse, late) == 0
    assert minutes(warehouse) == {TEN: 2}
    assert warehouse.execute("SELECT result FROM ops.loads ORDER BY started_at").fetchall() == [
        ("superseded",),
        ("loaded",),
    ]


def test_a_count_that_does_not_fit_is_refused_and_the_old_minutes_stay(
    warehouse: duckdb.DuckDBPyConnection, land: Callable[..., Landing]
) -> None:
    load_landing(warehouse, land("openai", (TEN, buckets((TEN, 1))), at=TEN + MINUTE))
    bad = buckets((TEN, 2), (TEN + MINUTE, 3), output_tokens=None)
    with pytest.raises(LoadRefused, match="completions_minutes"):
        load_landing(warehouse, land("openai", (TEN, bad), at=TEN + 2 * MINUTE))
    assert minutes(warehouse) == {TEN: 1}


def test_what_has_no_price_has_no_estimate_and_no_bill_but_a_reason(
    warehouse: duckdb.DuckDBPyConnection, land: Callable[..., Landing]
) -> None:
    bind(warehouse, "openai", "project", "p")
    load_landing(warehouse, land("openai", (TEN, buckets((TEN, 10**6), model="gpt-99")), at=TEN + MINUTE))
    assert intraday(warehouse, "tenant_id, estimated_cost_usd, estimated_billed_usd, unpriced_reason") == [
        ("acme", None, None, "no price for the model")
    ]


def test_a_key_that_is_bound_goes_before_its_project_and_only_on_its_days(
    warehouse: duckdb.DuckDBPyConnection, land: Callable[..., Landing]
) -> None:
    bind(warehouse, "openai", "project", "p")
    bind(warehouse, "openai", "api_key", "k", "zeta", DAY)
    page = buckets((TEN - ONE_DAY, 10**6), (TEN, 10**6))
    load_landing(warehouse, land("openai", (TEN, page), at=TEN + MINUTE))
    assert intraday(warehouse, "usage_date, tenant_id, estimated_cost_usd, estimated_billed_usd") == [
        (DAY - ONE_DAY, "acme", Decimal(2), Decimal("2.5")),
        (DAY, "zeta", Decimal(2), Decimal("2.5")),
    ]


POLICY = b"""
margins:
  - {id: all, percent: 10, from: 2026-01-01}
  - {id: tenant, tenant: zeta, percent: 50, from: 2026-01-01}
  - {id: model, tenant: acme, model: "gpt-6-*", percent: 30, from: 2026-01-01}
  - {id: today, tenant: acme, provider: openrouter, percent: 40, from: 2026-06-15}
  - {id: unknowable, tenant: acme, line_item: "*", category: "*", percent: 900, from: 2026-01-01}
"""


def test_the_policys_rules_show_where_they_can_be_known(
    warehouse: duckdb.DuckDBPyConnection, land: Callable[..., Landing]
) -> None:
    record_policy(warehouse, parse_policy(POLICY, "policy.yaml"), TEN)
    bind(warehouse, "openai", "project", "p")
    bind(warehouse, "openai", "api_key", "theirs", "zeta")
    bind(warehouse, "openrouter", "key", "h")
    pages = [
        buckets((TEN, 10**6), model="gpt-6-sol"),
        buckets((TEN, 10**6), model="gpt-5.6-luna"),
        buckets((TEN, 10**6), model="gpt-6-sol", api_key_id="theirs"),
        buckets((TEN, 10**6), model="gpt-6-sol", project_id="nobodys"),
    ]
    load_landing(warehouse, land("openai", *((TEN, page) for page in pages), at=TEN + MINUTE))
    for at in (TEN - ONE_DAY, TEN):
        load_landing(warehouse, land("openrouter", (at, keys(h="1")), at=at))
    rows = intraday(warehouse, "tenant_id, provider, model, usage_date, estimated_cost_usd, estimated_billed_usd")
    assert {row[:4]: row[5] / row[4] for row in rows} == {
        ("acme", "openai", "gpt-6-sol", DAY): Decimal("1.3"),
        ("acme", "openai", "gpt-5.6-luna", DAY): Decimal("1.1"),
        ("acme", "openrouter", None, DAY - ONE_DAY): Decimal("1.1"),
        ("acme", "openrouter", None, DAY): Decimal("1.4"),
        ("zeta", "openai", "gpt-6-sol", DAY): Decimal("1.5"),
        ("unallocated", "openai", "gpt-6-sol", DAY): 0,
    }
    assert len(rows) == 6


def test_a_tenants_own_account_is_that_tenants_and_not_billed(
    warehouse: duckdb.DuckDBPyConnection, land: Callable[..., Landing]
) -> None:
    for connection_id, tenant in (("openai", None), ("openai-zeta", "zeta")):
        warehouse.execute(
            "INSERT INTO registry.connections VALUES ($1, 'openai', 'organization', $2, $3)",
            [connection_id, tenant, TEN],
        )
        page = buckets((TEN, 10**6))
        load_landing(warehouse, land("openai", (TEN, page), at=TEN + MINUTE, connection_id=connection_id))
    bind(warehouse, "openai", "project", "p")
    assert intraday(warehouse, "connection_id, tenant_id, estimated_cost_usd, estimated_billed_usd") == [
        ("openai", "acme", Decimal(2), Decimal("2.5")),
        ("openai-zeta", "zeta", Decimal(2), Decimal(0)),
    ]


def bind(
    connection: duckdb.DuckDBPyConnection,
    provider: str,
    kind: str,
    account: str,
    tenant: str = "acme",
    since: date = date(2026, 1, 1),
) -> None:
    connection.execute(
        "INSERT INTO registry.accounts VALUES ($1, $2, $3, $4, $5, NULL, $6)",
        [tenant, provider, kind, account, since, TEN],
    )


def test_a_counter_counts_from_midnight_and_its_rows_add_up_to_the_newest_reading(
    warehouse: duckdb.DuckDBPyConnection, land: Callable[..., Landing]
) -> None:
    bind(warehouse, "openrouter", "key", "a")
    midnight = datetime(2026, 6, 16, tzinfo=UTC)
    readings = [
        (midnight - 7 * MINUTE, keys(a="1.0000000001", b="0")),
        (midnight - 2 * MINUTE, keys(a="1.5", b="0")),
        (midnight + timedelta(seconds=1), keys(a="1.5", b="0")),  # an answer that crossed midnight on its way
        (midnight + 3 * MINUTE, keys(a="0.25", b="0.1")),
        (midnight + 8 * MINUTE, keys(a="0.2", b="0.1")),
    ]
    for received_at, page in readings:
        load_landing(warehouse, land("openrouter", (received_at, page), at=received_at))
    rows = intraday(warehouse, "usage_date, minute_at, account_id, estimated_cost_usd, estimated_billed_usd, requests")
    assert rows == [
        (DAY, midnight - 7 * MINUTE, "a", Decimal("1.0000000001"), Decimal("1.30000000013"), None),
        (DAY, midnight - 2 * MINUTE, "a", Decimal("0.4999999999"), Decimal("0.64999999987"), None),
        (DAY + ONE_DAY, midnight, "a", Decimal("1.5"), Decimal("1.95"), None),
        (DAY + ONE_DAY, midnight + 3 * MINUTE, "a", Decimal("-1.25"), Decimal("-1.625"), None),
        (DAY + ONE_DAY, midnight + 3 * MINUTE, "b", Decimal("0.1"), Decimal(0), None),
        (DAY + ONE_DAY, midnight + 8 * MINUTE, "a", Decimal("-0.05"), Decimal("-0.065"), None),
    ]


@settings(max_examples=examples(100), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.integers(1, 20 * 3600) | st.integers(1, 90),
            st.dictionaries(st.sampled_from("abc"), st.decimals(0, 10**6, places=18), min_size=1),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_whatever_is_read_when_each_key_and_day_adds_up_to_its_newest_reading(
    warehouse: duckdb.DuckDBPyConnection, history: list[tuple[int, dict[str, Decimal]]]
) -> None:
    warehouse.execute("DELETE FROM raw.openrouter_key_readings")
    newest, now = dict[tuple[str, date], Decimal](), TEN
    for seconds, usage in history:
        now += timedelta(seconds=seconds)
        for key, usd in usage.items():
            values = ["openrouter", "load", now.date(), now, key, usd]
            warehouse.execute("INSERT INTO raw.openrouter_key_readings VALUES ($1, $2, $3, $4, $5, $6)", values)
            newest[key, now.date()] = usd
    build_table(warehouse, INTRADAY)
    sums = warehouse.execute("SELECT account_id, usage_date, sum(estimated_cost_usd) FROM usage.intraday GROUP BY ALL")
    found = {(key, day): usd for key, day, usd in sums.fetchall()}
    assert {each: found.get(each, Decimal(0)) for each in newest} == newest
    assert found.keys() <= newest.keys()
    key = "SELECT minute_at, account_id FROM usage.intraday GROUP BY ALL HAVING count(*) > 1"
    assert warehouse.execute(key).fetchall() == []


def arrive(connection: duckdb.DuckDBPyConnection, day: date, connection_id: str, report: str) -> None:
    connection.execute(
        "INSERT INTO ops.load_days VALUES ('night', $1, 'any', $2, $3, $4, $4, 0, 0)",
        [connection_id, report, day, TEN + 2 * ONE_DAY],
    )


def test_a_connections_day_goes_with_its_own_gating_report_and_no_other(
    warehouse: duckdb.DuckDBPyConnection, land: Callable[..., Landing], tmp_path: Path
) -> None:
    page = buckets((TEN - ONE_DAY, 10), (TEN, 20))
    landings = [land("openai", (TEN, page), at=TEN + MINUTE, connection_id=each) for each in ("openai", "another")]
    for landing in landings:
        load_landing(warehouse, landing)
    arrive(warehouse, DAY, "openai", "completions")
    assert len(intraday(warehouse, "*")) == 4
    arrive(warehouse, DAY, "openai", "costs")
    rows = [("another", DAY - ONE_DAY), ("another", DAY), ("openai", DAY - ONE_DAY)]
    assert intraday(warehouse, "connection_id, usage_date") == rows
    assert drop_replaced(warehouse, tmp_path / "landing").loads == 0
    arrive(warehouse, DAY - ONE_DAY, "openai", "costs")
    assert prune(warehouse, tmp_path / "landing", 0, TEN + 9 * ONE_DAY).loads == 1
    assert [landing.folder.exists() for landing in landings] == [False, True]
    assert warehouse.execute("SELECT connection_id FROM ops.loads").fetchall() == [("another",)]
    assert warehouse.execute("SELECT DISTINCT connection_id FROM raw.openai_completions_minutes").fetchall() == [
        ("another",)
    ]
    assert drop_replaced(warehouse, tmp_path / "landing").loads == 0


def test_a_removal_that_was_cut_off_is_finished_by_the_next_one(
    warehouse: duckdb.DuckDBPyConnection, land: Callable[..., Landing], tmp_path: Path
) -> None:
    landing = land("openai", (TEN, buckets((TEN, 10))), at=TEN + MINUTE)
    load_landing(warehouse, landing)
    for day in WINDOW.days():
        arrive(warehouse, day, "openai", "costs")
    (landing.folder / "manifest.json").unlink()
    assert live_shares(warehouse) == [], "a rebuild does not ask for what may be gone"
    assert drop_replaced(warehouse, tmp_path / "landing").loads == 1
    assert not landing.folder.exists()
    assert minutes(warehouse) == {}


def test_minutes_are_in_no_day_and_days_in_no_minute(
    warehouse: duckdb.DuckDBPyConnection, land: Callable[..., Landing]
) -> None:
    load_landing(warehouse, land("openai", (TEN, buckets((TEN, 10))), at=TEN + MINUTE))
    warehouse.execute("INSERT INTO ops.dirty_months VALUES ('2026-06')")
    build_models(warehouse, TEN + ONE_DAY, settle_days=4)
    for table, rows in (("usage.completions", 0), ("ops.source_days", 0), ("usage.intraday", 1)):
        assert warehouse.execute(f"SELECT count(*) FROM {table}").fetchall() == [(rows,)], table
