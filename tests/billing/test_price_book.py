"""The price book: dated by first day seen, never rewritten, and not led astray by a bad file."""

from __future__ import annotations

import json
import logging
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.billing.conftest import NOW, offered
from tests.conftest import PriceServer
from tokenboard_etl.billing.price_book import PriceList, record_bundled_prices, record_prices, refresh_prices
from tokenboard_etl.billing.price_list import bundled_prices
from tokenboard_etl.errors import AnswerTooLarge
from tokenboard_etl.http import download
from tokenboard_etl.warehouse.models import build_models

FIRST_DAY = date(2024, 1, 1)
TODAY, TOMORROW = date(2026, 12, 1), date(2026, 12, 2)


def versions(connection: duckdb.DuckDBPyConnection, model: str, kind: str = "input") -> list[tuple[Any, ...]]:
    return connection.execute(
        """
        SELECT usd_per_token * 1000000, valid_from, valid_until FROM policy.prices
        WHERE model = $1 AND token_kind = $2 AND tier = 'default' ORDER BY valid_from, valid_until NULLS LAST
        """,
        [model, kind],
    ).fetchall()


def everything(connection: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    return connection.execute("FROM policy.prices ORDER BY ALL").fetchall()


def test_the_snapshot_holds_from_the_first_day_and_is_recorded_once(memory: duckdb.DuckDBPyConnection) -> None:
    record_bundled_prices(memory, NOW)
    first = everything(memory)
    record_bundled_prices(memory, NOW + timedelta(days=1))
    assert everything(memory) == first
    stated = memory.execute(
        "SELECT count(*), min(valid_from), max(valid_from), max(valid_until) FROM policy.prices WHERE NOT is_derived"
    ).fetchall()
    assert stated == [(sum(map(len, bundled_prices().values())), FIRST_DAY, FIRST_DAY, None)]


def test_a_changed_price_opens_a_version_from_the_day_it_is_seen(
    memory: duckdb.DuckDBPyConnection, price_server: PriceServer
) -> None:
    price_server.offer(offered({"gpt-6-sol": {"input_cost_per_token": "0.000003"}}))
    assert refresh_prices(memory, price_server.url, NOW)
    assert versions(memory, "gpt-6-sol") == [(2, FIRST_DAY, TODAY), (3, TODAY, None)]
    assert versions(memory, "gpt-6-sol", "cached_input")[-1] == (Decimal("0.2"), TODAY, None)  # left out, so unchanged
    assert versions(memory, "gpt-6-luna") == [(Decimal("0.1"), FIRST_DAY, None)]
    sources = memory.execute(
        """
        SELECT DISTINCT token_kind, split_part(version_id, '-', 1), split_part(source, ' ', 1), fetched_at = $1
        FROM policy.prices WHERE model = 'gpt-6-sol' AND valid_until IS NULL AND tier = 'default' ORDER BY 1
        """,
        [NOW],
    ).fetchall()
    assert sources == [
        ("cache_write", "litellm", "snapshot", False),
        ("cached_input", "litellm", "snapshot", False),
        ("input", "litellm", price_server.url, True),
        ("output", "litellm", price_server.url, True),
    ]


def test_an_equal_file_changes_nothing(memory: duckdb.DuckDBPyConnection, price_server: PriceServer) -> None:
    price_server.offer(offered({"gpt-6-sol": {"input_cost_per_token": "0.000003"}}))
    refresh_prices(memory, price_server.url, NOW)
    first = everything(memory)
    assert refresh_prices(memory, price_server.url, NOW + timedelta(days=1))
    assert everything(memory) == first


def test_two_changes_on_one_day_leave_one_that_holds_and_one_to_explain_old_estimates(
    memory: duckdb.DuckDBPyConnection, price_server: PriceServer
) -> None:
    for hour, price in enumerate(("0.000003", "0.000004")):
        price_server.offer(offered({"gpt-6-sol": {"input_cost_per_token": price}}))
        refresh_prices(memory, price_server.url, NOW + timedelta(hours=hour))
    assert versions(memory, "gpt-6-sol") == [(2, FIRST_DAY, TODAY), (3, TODAY, TODAY), (4, TODAY, None)]
    build_models(memory, NOW, settle_days=4)
    cards = memory.execute(
        "SELECT valid_from, input_usd_per_token FROM staging.price_cards WHERE model = 'gpt-6-sol' AND tier = 'default'"
    ).fetchall()
    assert sorted(cards) == [(FIRST_DAY, Decimal("0.000002")), (TODAY, Decimal("0.000004"))]


def test_a_new_model_is_priced_from_the_day_it_is_seen(
    memory: duckdb.DuckDBPyConnection, price_server: PriceServer
) -> None:
    price_server.offer(offered({"gpt-7": {"input_cost_per_token": "0.000009"}}))
    refresh_prices(memory, price_server.url, NOW)
    assert versions(memory, "gpt-7") == [(9, TODAY, None)]


def test_a_vanished_model_or_price_stays_and_never_becomes_nothing(
    memory: duckdb.DuckDBPyConnection, price_server: PriceServer
) -> None:
    price_server.offer(
        offered({"gpt-6-sol": None, "gpt-6-luna": {"input_cost_per_token": 0, "output_cost_per_token": "0.0000006"}})
    )
    assert refresh_prices(memory, price_server.url, NOW)
    assert versions(memory, "gpt-6-sol") == [(2, FIRST_DAY, None)]
    assert versions(memory, "gpt-6-luna")[-1] == (Decimal("0.1"), TODAY, None)
    assert versions(memory, "gpt-6-luna", "output")[-1] == (Decimal("0.6"), TODAY, None)


def few(count: int) -> bytes:
    """A file with so many of OpenAI's models, all of them dearer than we know."""
    models = [f"m{n}" for n in range(count)]
    return json.dumps({m: {"litellm_provider": "openai", "input_cost_per_token": 0.1} for m in models}).encode()


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (few(49), 200, "it holds 49 of OpenAI's models, and 158 are known"),
        (few(78), 200, "it holds 78 of OpenAI's models, and 158 are known"),
        (b"<html>captive portal</html>", 200, "it is not JSON"),
        (few(100), 404, "HTTP 404"),
        (few(100), 302, "HTTP 302"),
        (few(100), 503, "HTTP 503"),
    ],
)
def test_a_bad_file_is_a_warning_and_the_prices_known_stay(
    memory: duckdb.DuckDBPyConnection,
    price_server: PriceServer,
    caplog: pytest.LogCaptureFixture,
    body: bytes,
    status: int,
    said: str,
) -> None:
    record_bundled_prices(memory, NOW)
    known = everything(memory)
    price_server.body, price_server.status = body, status
    with caplog.at_level(logging.WARNING):
        assert not refresh_prices(memory, price_server.url, NOW)
    assert said in caplog.text
    assert everything(memory) == known


def test_half_of_what_is_known_is_enough(memory: duckdb.DuckDBPyConnection, price_server: PriceServer) -> None:
    price_server.body = few(79)
    assert refresh_prices(memory, price_server.url, NOW)


def test_fifty_models_are_the_least_even_where_little_is_known(
    memory: duckdb.DuckDBPyConnection, price_server: PriceServer
) -> None:
    record_bundled_prices(memory, NOW)
    memory.execute("DELETE FROM policy.prices WHERE model NOT IN ('gpt-6-sol', 'gpt-6-luna')")
    for count, used in ((49, False), (50, True)):
        price_server.body = few(count)
        assert refresh_prices(memory, price_server.url, NOW) is used


def test_half_an_answer_or_none_is_a_warning_that_shows_no_token(
    memory: duckdb.DuckDBPyConnection, price_server: PriceServer, caplog: pytest.LogCaptureFixture
) -> None:
    price_server.body, price_server.cut_short = few(100), True
    assert not refresh_prices(memory, f"{price_server.url}?token=hush", NOW)
    assert not refresh_prices(memory, "http://nowhere.invalid/prices.json?token=hush", NOW)
    assert caplog.text.count("no whole answer") == 2
    assert "hush" not in caplog.text


def test_more_bytes_than_any_price_file_has_are_refused(price_server: PriceServer) -> None:
    price_server.body = b"x" * 5_000
    assert download(price_server.url, 5_000) == price_server.body
    with pytest.raises(AnswerTooLarge, match="more than 4999 bytes"):
        download(price_server.url, 4_999)


def test_a_path_will_do_and_a_missing_file_is_a_warning(
    memory: duckdb.DuckDBPyConnection, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "prices.json"
    assert not refresh_prices(memory, str(file), NOW)
    assert "No such file" in caplog.text
    file.write_text(json.dumps(offered({"gpt-6-sol": {"input_cost_per_token": "0.000003"}})))
    assert refresh_prices(memory, str(file), NOW)
    assert versions(memory, "gpt-6-sol")[-1] == (3, TODAY, None)


def test_a_version_never_ends_before_it_begins(memory: duckdb.DuckDBPyConnection) -> None:
    """A list older than the day it was recorded on, and then a clock that was set back to between the two."""
    record_bundled_prices(memory, NOW)
    for usd, today in ((1, TOMORROW), (2, TODAY)):
        cards = {"gpt-7": {("default", "input"): Decimal(usd).scaleb(-6)}}
        record_prices(memory, PriceList(f"v{usd}", "s", NOW - timedelta(days=9 - usd), cards), today)
    assert versions(memory, "gpt-7") == [(1, TOMORROW, None)]


def test_a_clock_set_back_changes_nothing(memory: duckdb.DuckDBPyConnection, price_server: PriceServer) -> None:
    price_server.offer(offered({"gpt-6-sol": {"input_cost_per_token": "0.000003"}}))
    refresh_prices(memory, price_server.url, NOW + timedelta(days=1))
    price_server.offer(offered({"gpt-6-sol": {"input_cost_per_token": "0.000004"}}))
    refresh_prices(memory, price_server.url, NOW)
    assert versions(memory, "gpt-6-sol")[-1] == (3, TOMORROW, None)


@pytest.mark.parametrize(("snapshot_day", "now_known"), [(date(2026, 12, 10), 5), (date(2026, 11, 30), 3)])
def test_the_next_versions_snapshot_replaces_what_is_older_than_itself_only(
    memory: duckdb.DuckDBPyConnection,
    price_server: PriceServer,
    snapshot_day: date,
    now_known: int,
) -> None:
    price_server.offer(offered({"gpt-6-sol": {"input_cost_per_token": "0.000003"}}))
    refresh_prices(memory, price_server.url, NOW)
    newer = {**bundled_prices(), "gpt-6-sol": {("default", "input"): Decimal("0.000005")}}
    snapshot = PriceList(f"bundled-{snapshot_day}", "snapshot", datetime.combine(snapshot_day, time(), UTC), newer)
    record_prices(memory, snapshot, TODAY + timedelta(days=19))
    assert versions(memory, "gpt-6-sol")[-1][0] == now_known
