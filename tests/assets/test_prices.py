"""The price book as part of a night."""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from assets.run import run_nightly
from tests.billing.conftest import offered
from tests.conftest import PriceServer
from tokenboard_etl.errors import ConfigurationError
from tokenboard_etl.periods import Window, utc_day
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.settings import load_settings


def test_a_night_reads_the_price_file_and_a_broken_one_does_not_stop_it(
    sandbox: RunningSandbox, price_server: PriceServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    now = sandbox.sandbox.now()
    settings = load_settings(
        **{**sandbox.env(), "OPENROUTER_MANAGEMENT_KEY": None},
        TOKENBOARD_HOME=str(tmp_path / "home"),
        TOKENBOARD_NOW=now.isoformat(),
        TOKENBOARD_PRICES_URL=price_server.url,
    )
    yesterday = utc_day(now) - timedelta(days=1)
    price_server.offer(offered({"gpt-6-sol": {"input_cost_per_token": "0.000003"}}))
    run_nightly(settings, Window.of_days(yesterday, yesterday))
    price_server.status = 500
    with caplog.at_level(logging.WARNING):
        run_nightly(settings, Window.of_days(yesterday, yesterday))
    assert "the prices known stay" in caplog.text

    connection = duckdb.connect(settings.warehouse_path, read_only=True)
    prices = connection.execute(
        """
        SELECT usd_per_token * 1000000, valid_from FROM policy.prices
        WHERE model = 'gpt-6-sol' AND tier = 'default' AND token_kind = 'input' ORDER BY valid_from
        """
    ).fetchall()
    connection.close()
    assert [(usd, day == utc_day(now)) for usd, day in prices] == [(2, False), (3, True)]

    published = duckdb.connect(settings.published_path, read_only=True)
    priced = published.execute(
        "SELECT count(*) > 80, count(*) = count(estimated_cost_usd), max(price_version) FROM usage.completions"
    ).fetchall()
    schemas = published.execute("SELECT DISTINCT schema_name FROM duckdb_tables()").fetchall()
    published.close()
    assert priced == [(True, True, "bundled-2026-11-20")]
    assert ("policy",) not in schemas


@pytest.mark.parametrize("source", ["ftp://prices.example/p.json", "https://user:hush@prices.example/p.json"])
def test_an_address_that_cannot_be_meant_is_refused_without_showing_it(source: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        load_settings(TOKENBOARD_PRICES_URL=source)
    assert "TOKENBOARD_PRICES_URL" in str(refusal.value)
    assert "hush" not in str(refusal.value)
