"""Reading price lists: every digit, nothing that is not a price, and what follows where a list is silent."""

from __future__ import annotations

import csv
import json
import logging
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import CONTRACTS
from tokenboard_etl.billing.price_list import FIELDS, bundled_prices, derived_prices, read_litellm
from tokenboard_etl.errors import LoadRefused

COLUMNS = {
    **{f"{kind}_usd_per_1m": ("default", kind) for kind in FIELDS},
    **{
        f"{tier}_{kind}_usd_per_1m": (tier, kind)
        for tier in ("batch", "flex", "priority")
        for kind in ("input", "cached_input", "output")
    },
}


def entry(**fields: str) -> str:
    """An OpenAI entry as LiteLLM writes it, numbers digit for digit."""
    return "{" + ", ".join(['"litellm_provider": "openai"', *(f'"{k}": {v}' for k, v in fields.items())]) + "}"


def listing(**entries: str) -> bytes:
    return ("{" + ", ".join(f"{json.dumps(name)}: {text}" for name, text in entries.items()) + "}").encode()


def test_the_snapshot_holds_the_contracts_figures() -> None:
    file = CONTRACTS / "prices.csv"
    if not file.exists():
        pytest.skip("the contracts are not beside this checkout")
    with file.open(newline="") as rows:
        expected = {
            (row["model"], *key): Fraction(row[column]) / 1_000_000
            for row in csv.DictReader(rows)
            for column, key in COLUMNS.items()
            if row.get(column)
        }
    found = {(model, *key): Fraction(usd) for model, card in bundled_prices().items() for key, usd in card.items()}
    assert found == expected
    assert len(found) > 800


def test_a_price_is_read_to_its_last_digit_never_through_a_float() -> None:
    text = listing(m=entry(input_cost_per_token="2.83333333333e-07", output_cost_per_token="0.000000123456789012"))
    assert read_litellm(text) == {
        "m": {
            ("default", "input"): Decimal("0.000000283333333333"),
            ("default", "output"): Decimal("0.000000123456789012"),
        }
    }


def test_only_openais_models_with_prices_per_token_count_and_aliases_do() -> None:
    priced = entry(input_cost_per_token="1e-6")
    text = listing(
        **{
            "sample_spec": priced,
            "fallback_generalizations": priced,
            "claude": priced.replace("openai", "anthropic"),
            "1024-x-1024/dall-e-3": priced,
            "whisper-1": entry(input_cost_per_second="0.0001"),
            "a": priced.replace("}", ', "aliases": ["a-latest", "openai/a", 7]}'),
            "comment": '"text"',
        }
    )
    assert set(read_litellm(text)) == {"a", "a-latest"}


def test_tiers_are_the_fields_with_a_suffix_and_long_prompts_are_left_out() -> None:
    text = listing(
        m=entry(
            cache_creation_input_token_cost_batches="1e-6",
            cache_read_input_token_cost_flex="2e-6",
            output_cost_per_token_priority="3e-6",
            input_cost_per_audio_token="4e-6",
            input_cost_per_token_above_272k_tokens="5e-6",
            input_cost_per_token_above_272k_tokens_priority="6e-6",
        )
    )
    assert set(read_litellm(text)["m"]) == {
        ("batch", "cache_write"),
        ("flex", "cached_input"),
        ("priority", "output"),
        ("default", "audio_input"),
    }


@pytest.mark.parametrize("value", ["-1e-6", "2.5", "true", "NaN", '"cheap"', "[]", "1e999999999"])
def test_an_impossible_price_costs_its_entry_and_says_so(value: str, caplog: pytest.LogCaptureFixture) -> None:
    text = listing(bad=entry(input_cost_per_token=value), good=entry(input_cost_per_token="1e-6"))
    with caplog.at_level(logging.WARNING):
        assert set(read_litellm(text)) == {"good"}
    assert "'bad'" in caplog.text
    assert "input_cost_per_token" in caplog.text


@pytest.mark.parametrize("name", ["\ud800", "a\0b"])
def test_a_name_that_is_no_text_costs_its_entry_and_says_so(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """DuckDB takes none, so the whole list, and the night, would fall for it."""
    named = entry(input_cost_per_token="1e-6")
    alias = named.replace("}", f', "aliases": ["a-latest", {json.dumps(name)}]}}')
    with caplog.at_level(logging.WARNING):
        assert set(read_litellm(listing(**{name: named, "bad": alias, "good": named}))) == {"good"}
    assert caplog.text.count("a name of it cannot be printed") == 2


@pytest.mark.parametrize("text", [b"", b"<html>", b"[]", b"\xff", b'{"a": ' * 100_000])
def test_what_is_no_price_file_is_refused(text: bytes) -> None:
    with pytest.raises(LoadRefused):
        read_litellm(text)


STANDARD: dict[tuple[str, str], Decimal] = {
    ("default", "input"): Decimal("0.000002"),
    ("default", "cached_input"): Decimal("0.0000005"),
    ("default", "cache_write"): Decimal("0.0000025"),
    ("default", "output"): Decimal("0.000008"),
}


def test_a_tiers_factor_on_input_holds_for_what_the_list_leaves_out() -> None:
    card = {
        **STANDARD,
        ("batch", "input"): Decimal("0.000001"),
        ("batch", "output"): Decimal("0.000004"),
        ("priority", "input"): Decimal("0.0000035"),
        ("priority", "output"): Decimal("0.000014"),
    }
    assert derived_prices(card) == {
        ("batch", "cached_input"): Decimal("0.00000025"),
        ("batch", "cache_write"): Decimal("0.00000125"),
        ("priority", "cached_input"): Decimal("0.000000875"),
        ("priority", "cache_write"): Decimal("0.000004375"),
    }


@pytest.mark.parametrize(
    "tier",
    [
        {("batch", "output"): Decimal("0.000004")},  # no factor is known
        {("batch", "input"): Decimal("0.000001"), ("batch", "output"): Decimal("0.000005")},  # two factors
    ],
)
def test_nothing_is_derived_from_no_factor_or_from_two(tier: dict[tuple[str, str], Decimal]) -> None:
    assert derived_prices({**STANDARD, **tier}) == {}


prices = st.decimals(min_value=0, max_value="0.5", places=10)


@given(st.dictionaries(st.sampled_from([(t, k) for t in ("default", "batch", "flex") for k in FIELDS]), prices))
def test_what_is_derived_has_the_tiers_factor_and_never_replaces_what_is_stated(card: dict[Any, Decimal]) -> None:
    for (tier, kind), usd in derived_prices(card).items():
        assert (tier, kind) not in card
        standard, here = Fraction(card["default", "input"]), Fraction(card[tier, "input"])
        assert Fraction(usd) * standard == Fraction(card["default", kind]) * here
