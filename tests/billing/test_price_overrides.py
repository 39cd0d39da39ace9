"""Token prices of the policy: before the book's, by name, tier, kind and day; in estimates alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from tests.billing.conftest import DAY, NOW, use
from tokenboard_etl.billing.policy_file import PolicyFile, parse_policy
from tokenboard_etl.billing.policy_versions import record_policy
from tokenboard_etl.billing.price_book import record_bundled_prices
from tokenboard_etl.warehouse.connection import configure
from tokenboard_etl.warehouse.migrations import migrate
from tokenboard_etl.warehouse.models import build_models, build_with_sources

MILLION = 1_000_000
SOL = {"input_uncached_tokens": MILLION, "output_tokens": MILLION}
"""A million tokens each way: 2 and 10 dollars for gpt-6-sol by the book."""


@pytest.fixture(scope="module")
def _warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    configure(connection)
    migrate(connection)
    record_bundled_prices(connection, NOW)
    build_models(connection, NOW, settle_days=4)
    yield connection
    connection.close()


@pytest.fixture
def book(_warehouse: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """A warehouse whose book holds the snapshot, without usage."""
    for table in ("raw.openai_completions", "billing.closed_months"):
        _warehouse.execute(f"DELETE FROM {table}")
    return _warehouse


def override(model: str, usd: str, kind: str = "input", **more: str) -> dict[str, str]:
    return {"model": model, "token_kind": kind, "usd_per_million_tokens": usd, "from": "2026-01-01", **more}


def policy(*rules: dict[str, str]) -> PolicyFile:
    overrides = [{"id": f"rule-{number}", **rule} for number, rule in enumerate(rules)]
    return parse_policy(json.dumps({"price_overrides": overrides}).encode(), "policy.yaml")


def estimates(book: duckdb.DuckDBPyConnection, *rules: dict[str, str]) -> list[Any]:
    """The estimate of each row, or why there is none, under a policy of these overrides."""
    record_policy(book, policy(*rules), NOW)
    return rebuilt(book)


def rebuilt(book: duckdb.DuckDBPyConnection) -> list[Any]:
    build_with_sources(book, "usage.completions")
    rows = book.execute(
        "SELECT estimated_cost_usd, unpriced_reason FROM usage.completions ORDER BY model, service_tier, batch"
    ).fetchall()
    return [usd if reason is None else reason for usd, reason in rows]


@pytest.mark.parametrize(
    ("rules", "usd"),
    [
        ([override("gpt-6-sol", "1")], "11"),
        ([override("gpt-6-*", "0")], "10"),
        ([override("gpt-6-*", "3"), override("gpt-6-sol", "1")], "11"),
        ([override("gpt-6-sol", "1"), override("gpt-6-sol", "0.5", "output")], "1.5"),
        ([override("gpt-6-sol", "1", tier="default"), override("gpt-6-sol", "4")], "11"),
        ([override("gpt-6-sol", "1", tier="batch")], "12"),
        ([override("gpt-6-sol", "1", until=f"{DAY}")], "12"),
        ([override("gpt-6-sol", "1", **{"from": f"{DAY}"})], "11"),
        ([override("gpt_6_sol", "1")], "12"),
        ([override("gpt-6-sol", "0.000000000001")], "10.000000000001"),
    ],
)
def test_an_override_goes_before_the_book(
    book: duckdb.DuckDBPyConnection, rules: list[dict[str, str]], usd: str
) -> None:
    use(book, "gpt-6-sol", **SOL)
    use(book, "gpt-6-terra", **SOL, batch="none")
    found = estimates(book, *rules)
    assert found[0] == Decimal(usd)


def test_a_model_has_its_own_overrides_before_those_of_its_name_in_the_book(book: duckdb.DuckDBPyConnection) -> None:
    use(book, "gpt-6-sol-2026-11-11", **SOL)
    assert estimates(book, override("gpt-6-sol", "1")) == [Decimal(11)]
    assert estimates(book, override("gpt-6-sol", "1"), override("gpt-6-sol-2026-11-11", "3")) == [Decimal(13)]
    assert estimates(book, override("gpt-6-sol", "1"), override("*-2026-11-11", "3")) == [Decimal(13)]


def test_a_model_the_book_does_not_know_has_the_price_it_is_given_and_no_other(book: duckdb.DuckDBPyConnection) -> None:
    use(book, "homemade", **SOL)
    assert estimates(book) == ["no price for the model"]
    assert estimates(book, override("homemade", "1")) == ["no price for output"]
    assert estimates(book, override("homemade", "1"), override("homemade", "2", "output")) == [Decimal(3)]
    version = policy(override("homemade", "1"), override("homemade", "2", "output")).sha256
    (row,) = book.execute("SELECT price_model, price_version FROM usage.completions").fetchall()
    assert row == (None, f"policy {version[:12]}")


def test_images_cost_what_text_does_unless_they_have_a_price(book: duckdb.DuckDBPyConnection) -> None:
    use(book, "gpt-6-sol", input_uncached_tokens=2 * MILLION, input_image_tokens=MILLION)
    assert estimates(book, override("gpt-6-sol", "1")) == [Decimal(2)]
    assert estimates(book, override("gpt-6-sol", "1"), override("gpt-6-sol", "5", "image_input")) == [Decimal(6)]
    book.execute("UPDATE raw.openai_completions SET input_image_tokens = NULL")
    assert estimates(book, override("gpt-6-sol", "1")) == [Decimal(2)]
    assert estimates(book, override("gpt-6-sol", "5", "image_input")) == ["how much is images is not known"]


def test_a_month_closed_for_everybody_keeps_its_prices(book: duckdb.DuckDBPyConnection) -> None:
    use(book, "gpt-6-sol", **SOL)
    assert estimates(book, override("gpt-6-sol", "1")) == [Decimal(11)]
    closed = "INSERT INTO billing.closed_months BY NAME SELECT '2026-11' AS month, $1 AS tenant_id, $2 AS closed_at, $3"
    version = policy(override("gpt-6-sol", "1")).sha256
    book.execute(f"{closed} AS policy_sha256", ["acme", NOW, version])
    assert estimates(book, override("gpt-6-sol", "7")) == [Decimal(17)]
    book.execute(f"{closed} AS policy_sha256", [None, NOW, version])
    assert rebuilt(book) == [Decimal(11)]


def test_versions_from_before_there_was_this_table_get_their_overrides(book: duckdb.DuckDBPyConnection) -> None:
    use(book, "gpt-6-sol", **SOL)
    estimates(book, override("gpt-6-sol", "1"))
    book.execute("DELETE FROM policy.price_overrides")
    assert rebuilt(book) == [Decimal(12)]
    assert estimates(book, override("gpt-6-sol", "1")) == [Decimal(11)]
    version = policy(override("gpt-6-sol", "1")).sha256
    rows = book.execute("SELECT rule_id FROM policy.price_overrides WHERE policy_sha256 = $1", [version]).fetchall()
    assert rows == [("rule-0",)]
