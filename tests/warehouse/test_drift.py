"""Schema drift at the load: a changed type stops it with its place, an unknown field goes on record."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tokenboard_etl.errors import LandingDamaged, LoadRefused
from tokenboard_etl.http import Answer
from tokenboard_etl.landing import Landing, begin
from tokenboard_etl.periods import Window
from tokenboard_etl.providers.answers import Answers
from tokenboard_etl.providers.wire import Request
from tokenboard_etl.warehouse.checks import all_checks, run_checks
from tokenboard_etl.warehouse.connection import configure
from tokenboard_etl.warehouse.load import load_landing
from tokenboard_etl.warehouse.migrations import migrate
from tokenboard_etl.warehouse.models import build_models
from tokenboard_etl.warehouse.pages import exposed

NOW = datetime(2026, 6, 15, 2, 0, tzinfo=UTC)
DAY = date(2026, 6, 14)
START_S = int(datetime(2026, 6, 14, tzinfo=UTC).timestamp())
ROW: dict[str, Any] = {"object": "r", "amount": {"value": "1.5", "currency": "usd"}, "project_id": "p"}


@pytest.fixture
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    configure(connection)
    migrate(connection)
    yield connection
    connection.close()


@pytest.fixture
def land(tmp_path: Path) -> Callable[..., Landing]:
    """A landing of costs of one day with the given rows, a page each."""

    def made(*rows: dict[str, Any], at: datetime = NOW) -> Landing:
        opened = begin(tmp_path, "openai", "openai", "costs", Window.of_days(DAY, DAY), at)
        for number, row in enumerate(rows):
            bucket = {"start_time": START_S, "end_time": START_S + 86_400, "results": [ROW, row]}
            body = json.dumps({"data": [bucket], "has_more": False}).encode()
            request = Request("openai", "/organization/costs", (("page", str(number)),))
            opened.add(request, Answer(200, body, None), at)
        return opened.complete(frozenset({DAY}), at)

    return made


def load(connection: duckdb.DuckDBPyConnection, landing: Landing) -> int:
    return load_landing(connection, landing, contract=Answers("openai"))


def test_a_changed_type_stops_the_load_with_its_place(land: Any, warehouse: duckdb.DuckDBPyConnection) -> None:
    landing = land(ROW, {**ROW, "quantity": "many"})
    with pytest.raises(LoadRefused) as raised:
        load(warehouse, landing)
    said = str(raised.value)
    assert said.startswith("openai GET /organization/costs (2026-06-14..2026-06-14): $.data[*].results[*].quantity: ")
    assert str(landing.folder / "page-00002.json.zst") in said
    assert warehouse.execute("SELECT count(*) FROM raw.openai_costs").fetchall() == [(0,)]
    assert warehouse.execute("SELECT result FROM ops.loads").fetchall() == [("refused",)]


def test_a_page_that_no_model_describes_is_refused(tmp_path: Path, warehouse: duckdb.DuckDBPyConnection) -> None:
    opened = begin(tmp_path, "openai", "openai", "costs", Window.of_days(DAY, DAY), NOW)
    opened.add(Request("openai", "/organization/new"), Answer(200, b"{}", None), NOW)
    with pytest.raises(LoadRefused, match=r"GET /organization/new.*no model says"):
        load(warehouse, opened.complete(frozenset({DAY}), NOW))


def test_pages_that_no_query_needs_are_checked_too(tmp_path: Path, warehouse: duckdb.DuckDBPyConnection) -> None:
    opened = begin(tmp_path, "openai", "openai", "costs", Window.of_days(DAY, DAY), NOW)
    opened.add(Request("openai", "/organization/costs"), Answer(200, b'{"data": "none", "has_more": false}', None), NOW)
    landing = opened.complete(frozenset(), NOW, unavailable="HTTP 403")
    with pytest.raises(LoadRefused, match=r"\$\.data: "):
        load(warehouse, landing)


def test_a_second_scan_of_the_pages_is_a_whole_one(land: Any, warehouse: duckdb.DuckDBPyConnection) -> None:
    landing = land(ROW, ROW, ROW)
    warehouse.begin()
    with exposed(warehouse, landing, Answers("openai")):
        scans = [warehouse.execute("SELECT count(*), sum(strlen(body)) FROM landed").fetchall() for _ in range(2)]
        twice = warehouse.execute("SELECT count(*) FROM landed AS one JOIN landed AS other ON one.body = other.body")
        assert twice.fetchall() == [(9,)]
    warehouse.commit()
    assert scans == [[(3, sum(page.bytes for page in landing.pages))]] * 2


def test_a_damaged_page_is_damage_and_no_drift(land: Any, warehouse: duckdb.DuckDBPyConnection) -> None:
    landing = land(ROW)
    (landing.folder / "page-00001.json.zst").write_bytes(b"damaged")
    with pytest.raises(LandingDamaged):
        load(warehouse, landing)
    assert warehouse.execute("SELECT count(*) FROM ops.loads").fetchall() == [(0,)]


def fields(connection: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    return connection.execute("SELECT * FROM ops.unknown_fields ORDER BY path").fetchall()


def test_an_unknown_field_goes_on_record_once(land: Any, warehouse: duckdb.DuckDBPyConnection) -> None:
    later, later_still = NOW + timedelta(hours=1), NOW + timedelta(hours=2)
    first = land({**ROW, "news": [1]}, {**ROW, "amount": {**ROW["amount"], "tax": None}})
    assert load(warehouse, first) == 1
    load(warehouse, land({**ROW, "news": "now text"}, at=later_still))
    load(warehouse, land({**ROW, "news": 1}, at=later))
    costs = ("openai", "GET /organization/costs")
    assert fields(warehouse) == [
        (*costs, "$.data[*].results[*].amount.tax", "null", NOW, NOW, first.load_id),
        (*costs, "$.data[*].results[*].news", "array", NOW, later_still, first.load_id),
    ]


def test_a_refused_load_records_no_fields(land: Any, warehouse: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(LoadRefused):
        load(warehouse, land({**ROW, "news": 1}, {**ROW, "amount": None}))
    assert fields(warehouse) == []


def test_a_new_field_is_news_for_a_week(land: Any, warehouse: duckdb.DuckDBPyConnection) -> None:
    load(warehouse, land({**ROW, "news": 1}))
    check = [each for each in all_checks() if each.name == "fields_are_known"]
    for days, news in ((0, 1), (7, 1), (8, 0)):
        build_models(warehouse, NOW + timedelta(days=days), settle_days=4)
        (finding,) = run_checks(warehouse, check)
        assert (finding.violations, finding.check.blocking) == (news, False)
        assert ("$.data[*].results[*].news" in str(finding)) is bool(news)
