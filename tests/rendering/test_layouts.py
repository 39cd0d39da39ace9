"""Numbers are written as Babel writes them, in whatever locale and currency."""

from __future__ import annotations

from decimal import Decimal

import pytest
from babel.numbers import format_currency, format_decimal
from hypothesis import given
from hypothesis import strategies as st

from tokenboard_etl.layouts import layout_of
from tokenboard_etl.money import format_minor, from_minor
from tokenboard_etl.rendering.environment import _layout, environment

LOCALES = ("en_US", "en_001", "en_DE", "en_IN", "en_CH", "en_AT", "en_ZA", "en_SE", "de_CH", "es", "pl", "ar_EG", "fa")
CURRENCIES = ("USD", "EUR", "JPY", "KWD", "CHF", "INR", "XAF")


@given(st.integers(-(2**63), 2**63 - 1), st.sampled_from(CURRENCIES), st.sampled_from(LOCALES))
def test_amounts_are_written_as_babel_writes_them(minor: int, currency: str, locale: str) -> None:
    assert format_minor(minor, currency, locale) == format_currency(
        from_minor(minor, currency), currency, locale=locale
    )


@given(st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=-(10**16), max_value=10**16))
def test_quantities_are_written_with_every_digit(value: Decimal) -> None:
    for locale in LOCALES:
        template = environment().from_string("{{ value | rate }}")
        expected = format_decimal(value.normalize(), locale=locale, decimal_quantization=False)
        assert template.render(value=value, locale=locale) == expected


@pytest.mark.parametrize("minor", [0, 1, -1, 99, 100, 99_999, 100_000, 123_456_789])
def test_small_and_round_amounts_too(minor: int) -> None:
    for locale in LOCALES:
        for currency in CURRENCIES:
            expected = format_currency(from_minor(minor, currency), currency, locale=locale)
            assert format_minor(minor, currency, locale) == expected


def test_what_is_written_in_no_simple_way_has_no_layout() -> None:
    assert all(_layout(locale) is not None for locale in LOCALES)
    assert layout_of(lambda number: f"{number:f}", 3) is None
    assert layout_of(lambda number: f"{number:,f}" if number > 0 else f"({number})", 3) is None
    assert layout_of(lambda number: f"{number:,f}" if number >= 10**4 else f"{number:f}", 3) is None
