"""usage.completions' estimates: each token counted once, at its own price, and no price never a zero."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from examples import examples
from tests.billing.conftest import DAY, NOW, usd_of, use
from tokenboard_etl.billing import price_list
from tokenboard_etl.billing.price_book import PriceList, record_bundled_prices, record_prices
from tokenboard_etl.closing import bring_up_to_date
from tokenboard_etl.connections import connections
from tokenboard_etl.extraction import extract
from tokenboard_etl.periods import Window, utc_day
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.settings import Settings
from tokenboard_etl.warehouse.checks import all_checks, run_checks
from tokenboard_etl.warehouse.connection import open_warehouse
from tokenboard_etl.warehouse.load import load_landing
from tokenboard_etl.warehouse.loads import mark_months
from tokenboard_etl.warehouse.models import build_models


@pytest.fixture
def book(memory: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse whose book holds the snapshot."""
    record_bundled_prices(memory, NOW)
    return memory


def estimates(connection: duckdb.DuckDBPyConnection) -> list[tuple[Decimal | None, str | None]]:
    """(estimate, reason) of every row, after a build."""
    mark_months(connection, {"2026-11", "2026-12"})
    build_models(connection, NOW, settle_days=4)
    return connection.execute(
        "SELECT estimated_cost_usd, unpriced_reason FROM usage.completions ORDER BY usage_date, model, service_tier"
    ).fetchall()


def per_million(**tokens: str) -> list[tuple[Decimal, None]]:
    """The one estimate that a million tokens at each of these prices make."""
    return [(sum(map(Decimal, tokens.values())), None)]


MILLION = 1_000_000


def test_cached_and_written_tokens_are_counted_once_and_at_their_own_price(book: duckdb.DuckDBPyConnection) -> None:
    use(
        book,
        "gpt-6-sol",
        input_uncached_tokens=MILLION,
        input_cached_tokens=MILLION,
        input_cache_write_tokens=MILLION,
        output_tokens=MILLION,
    )
    assert estimates(book) == per_million(input="2", cached="0.2", write="2.5", output="10")


def test_without_an_uncached_figure_it_is_what_remains(book: duckdb.DuckDBPyConnection) -> None:
    use(
        book,
        "gpt-6-sol",
        input_tokens=3 * MILLION,
        input_uncached_tokens=None,
        input_cached_tokens=MILLION,
        input_cache_write_tokens=MILLION,
    )
    assert estimates(book) == per_million(input="2", cached="0.2", write="2.5")


def test_audio_and_images_are_parts_of_the_totals_at_their_own_prices(book: duckdb.DuckDBPyConnection) -> None:
    use(
        book,
        "gpt-realtime-2.1-mini-2026-08-28",
        input_uncached_tokens=3 * MILLION,
        input_audio_tokens=MILLION,
        input_image_tokens=MILLION,
        input_cached_tokens=3 * MILLION,
        input_cached_audio_tokens=MILLION,
        input_cached_image_tokens=MILLION,
        output_tokens=2 * MILLION,
        output_audio_tokens=MILLION,
    )
    expected = {"t": "0.6", "a": "10", "i": "0.8", "ct": "0.06", "ca": "0.3", "ci": "0.08", "o": "2.4", "oa": "20"}
    assert estimates(book) == per_million(**expected)


def test_a_model_without_prices_for_images_counts_them_as_text(book: duckdb.DuckDBPyConnection) -> None:
    use(book, "gpt-6-sol", input_uncached_tokens=2 * MILLION, input_image_tokens=MILLION)
    use(book, "gpt-6-terra-none", input_uncached_tokens=0)
    assert estimates(book) == [(Decimal(4), None), (Decimal(0), None)]


@pytest.mark.parametrize(
    ("batch", "tier", "usd"),
    [
        ("false", "default", "22.5"),
        ("", "", "22.5"),
        ("true", "default", "11.25"),
        ("true", "flex", "11.25"),
        ("false", "flex", "11.25"),
        ("false", "priority", "45"),
    ],
)
def test_batch_and_service_tier_have_prices_of_their_own(
    book: duckdb.DuckDBPyConnection, batch: str, tier: str, usd: str
) -> None:
    tokens = {"input_uncached_tokens": 5 * MILLION, "input_cache_write_tokens": MILLION, "output_tokens": MILLION}
    use(book, "gpt-6-sol", batch=batch, tier=tier, **tokens)
    assert estimates(book) == [(Decimal(usd), None)]


@pytest.mark.parametrize(
    ("model", "usd", "price_model"),
    [
        ("gpt-4o-2024-05-13", "5", "gpt-4o-2024-05-13"),
        ("gpt-6-sol-2026-09-22", "2", "gpt-6-sol"),
        ("ft:gpt-4o-2024-08-06:org:name:Ab3", "3.75", "ft:gpt-4o-2024-08-06"),
        ("ft-gpt-4o-2024-08-06", "3.75", "ft:gpt-4o-2024-08-06"),
    ],
)
def test_the_exact_name_comes_before_the_alias(
    book: duckdb.DuckDBPyConnection, model: str, usd: str, price_model: str
) -> None:
    use(book, model, input_uncached_tokens=MILLION)
    assert estimates(book) == per_million(input=usd)
    assert book.execute("SELECT price_model, price_version FROM usage.completions").fetchall() == [
        (price_model, "bundled-2026-11-20")
    ]


@pytest.mark.parametrize(
    ("model", "how", "reason"),
    [
        ("gpt-99", {"output_tokens": 1}, "no price for the model"),
        ("", {"output_tokens": 1}, "no price for the model"),
        ("ft:gpt-6-sol:org::id", {"output_tokens": 1}, "no price for the model"),
        ("gpt-6-sol", {"tier": "scale", "output_tokens": 1}, "no price in the tier scale"),
        (
            "o1-pro",
            {"input_cached_tokens": 1, "input_cache_write_tokens": 1},
            "no price for cached input, cache writes",
        ),
        (
            "gpt-audio-mini",
            {"input_cached_tokens": 1, "input_cached_audio_tokens": 1},
            "no price for cached audio input",
        ),
        (
            "gpt-4o-mini-realtime-preview-2024-12-17",
            {"input_cached_tokens": 1, "input_cached_audio_tokens": 1},
            "no price for cached audio input",
        ),
        ("gpt-audio-mini", {"output_tokens": 5, "output_audio_tokens": None}, "how much is audio is not known"),
        ("gpt-6-sol", {"input_tokens": 9, "input_uncached_tokens": 8}, "the parts do not add up to the total"),
        ("gpt-6-sol", {"input_uncached_tokens": 8, "input_audio_tokens": 9}, "the parts do not add up to the total"),
        (
            "gpt-6-sol",
            {"input_cached_tokens": 8, "input_cached_image_tokens": 9},
            "the parts do not add up to the total",
        ),
        ("gpt-6-sol", {"output_tokens": 8, "output_audio_tokens": 9}, "the parts do not add up to the total"),
        ("gpt-6-sol", {"input_uncached_tokens": 10**20}, "more tokens than can be"),
    ],
)
def test_what_has_no_price_is_null_with_a_reason_and_a_failing_check(
    book: duckdb.DuckDBPyConnection, model: str, how: dict[str, Any], reason: str
) -> None:
    use(book, model, **how)
    use(book, "gpt-6-terra-none", day=DAY - timedelta(days=1))  # without a single token there is nothing to price
    assert estimates(book) == [(0, None), (None, reason)]
    (check,) = [check for check in all_checks() if check.name == "every_model_is_priced"]
    (finding,) = run_checks(book, [check])
    assert not check.blocking
    assert finding.violations == 1
    assert f"connection_id=any, model={model}, unpriced_reason={reason}" in finding.examples[0]


def test_the_most_tokens_there_can_be_at_the_highest_price_there_can_be(memory: duckdb.DuckDBPyConnection) -> None:
    highest = Decimal("0.999999999999999999")
    card = {("default", kind): highest for kind in price_list.FIELDS}
    record_prices(memory, PriceList("v", "s", NOW, {"m": card}), DAY)
    most = 2**63 - 1
    use(
        memory,
        "m",
        input_uncached_tokens=most,
        input_audio_tokens=most // 3,
        input_image_tokens=most // 3,
        input_cached_tokens=most,
        input_cached_audio_tokens=most // 3,
        input_cached_image_tokens=most // 3,
        input_cache_write_tokens=most,
        output_tokens=most,
        output_audio_tokens=most // 3,
        output_image_tokens=most // 3,
    )
    ((found, reason),) = estimates(memory)
    assert reason is None
    assert found is not None
    assert Fraction(found) == 4 * most * Fraction(highest)


def test_a_price_that_changes_changes_no_estimate_of_the_days_before(book: duckdb.DuckDBPyConnection) -> None:
    for day in (DAY, DAY + timedelta(days=1)):
        use(book, "gpt-6-sol", day=day, input_uncached_tokens=MILLION)
        book.execute(
            "INSERT INTO ops.load_days VALUES ('l', 'openai', 'openai', 'completions', $1, $2, $2, 1, NULL)", [day, NOW]
        )
    assert estimates(book) == [(2, None), (2, None)]
    record_prices(
        book, PriceList("litellm-x", "s", NOW, {"gpt-6-sol": {("default", "input"): Decimal("3e-6")}}), NOW.date()
    )
    build_models(book, NOW, settle_days=4)
    rows = book.execute(
        "SELECT usage_date, estimated_cost_usd, price_version FROM usage.completions ORDER BY 1"
    ).fetchall()
    assert rows == [(DAY, 2, "bundled-2026-11-20"), (NOW.date(), 3, "litellm-x")]


KINDS = ("input", "audio_input", "image_input", "cached_input", "audio_cached_input", "image_cached_input")
KINDS += ("cache_write", "output", "audio_output", "image_output")
counts = st.integers(min_value=0, max_value=10**15)
usd = st.integers(min_value=0, max_value=10**18 - 1).map(lambda units: Decimal(units).scaleb(-18))


@pytest.fixture
def views(memory: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """A warehouse whose models are there; staging is views, so they need no second build."""
    build_models(memory, NOW, settle_days=4)
    return memory


@settings(
    max_examples=examples(200),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(
    st.fixed_dictionaries(dict.fromkeys(KINDS, counts)),
    st.fixed_dictionaries({**dict.fromkeys(KINDS, st.none() | usd), "audio_input": usd, "image_input": usd}),
)
def test_the_estimate_is_the_sum_of_tokens_times_price_or_null(
    views: duckdb.DuckDBPyConnection, tokens: dict[str, int], prices: dict[str, Decimal | None]
) -> None:
    views.execute("DELETE FROM raw.openai_completions")
    views.execute("DELETE FROM policy.prices")
    card = {("default", kind): price for kind, price in prices.items() if price is not None}
    record_prices(views, PriceList("v", "s", NOW, {"m": card}), DAY)
    use(
        views,
        "m",
        input_uncached_tokens=tokens["input"] + tokens["audio_input"] + tokens["image_input"],
        input_audio_tokens=tokens["audio_input"],
        input_image_tokens=tokens["image_input"],
        input_cached_tokens=tokens["cached_input"] + tokens["audio_cached_input"] + tokens["image_cached_input"],
        input_cached_audio_tokens=tokens["audio_cached_input"],
        input_cached_image_tokens=tokens["image_cached_input"],
        input_cache_write_tokens=tokens["cache_write"],
        output_tokens=tokens["output"] + tokens["audio_output"] + tokens["image_output"],
        output_audio_tokens=tokens["audio_output"],
        output_image_tokens=tokens["image_output"],
    )
    query = "SELECT estimated_cost_usd, unpriced_reason FROM staging.priced_completions"
    ((found, reason),) = views.execute(query).fetchall()
    unpriced = any(count and prices[kind] is None for kind, count in tokens.items())
    assert (found is None, reason is not None) == (unpriced, unpriced)
    if found is not None:
        assert Fraction(found) == sum(count * Fraction(prices[kind] or 0) for kind, count in tokens.items())


def expected_usd(sandbox: RunningSandbox, day: date, seen_at: datetime) -> dict[str, Fraction]:
    """What each model's usage costs, from the world's own rows."""
    sums: dict[str, Fraction] = defaultdict(Fraction)
    for row in sandbox.world.openai_completions(sandbox.world.organizations[0].id, day, seen_at):
        sums[row.model] += usd_of(row)
    return dict(sums)


def test_a_days_usage_from_the_provider_costs_what_its_own_rows_say(
    sandbox: RunningSandbox, settings: Settings
) -> None:
    (connection,) = connections(settings, "openai")
    today = utc_day(settings.now)
    window = Window(today - timedelta(days=3), today)
    landing = asyncio.run(extract(connection, "completions", window, settings.landing_path, lambda: settings.now))
    with open_warehouse(settings.warehouse_path) as warehouse:
        load_landing(warehouse, landing)
        bring_up_to_date(warehouse, settings)
        found = warehouse.execute(
            """
            SELECT usage_date, model, sum(estimated_cost_usd), count(unpriced_reason)
            FROM usage.completions GROUP BY usage_date, model
            """
        ).fetchall()
    assert {(day, model): (Fraction(usd), unpriced) for day, model, usd, unpriced in found} == {
        (day, model): (expected, 0)
        for day in window.days()
        for model, expected in expected_usd(sandbox, day, settings.now).items()
    }
    assert len(found) > 30
