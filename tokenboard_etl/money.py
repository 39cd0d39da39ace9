"""The only place that parses, rounds and formats money.

Amounts are `Decimal`, never float. A provider's figure keeps 18 decimals (`DECIMAL(38,18)`, rounded half-up
once, at load); multiplied by a margin it has 24; an invoice line is an integer of minor units.
"""

from __future__ import annotations

import decimal
import re
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import ROUND_HALF_UP, Decimal

from babel.numbers import format_currency, get_currency_precision

COST_SCALE = Decimal("1e-18")
MULTIPLIER_SCALE = Decimal("1e-6")

_LITERAL = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_BEYOND = Decimal(10) ** 20
"""The first amount that DECIMAL(38,18) cannot hold."""


@contextmanager
def exact() -> Iterator[None]:
    """Computes with 76 digits and refuses floats.

    Python's default of 28 digits silently rounds sums of DECIMAL(38,18); 76 holds any product of two of ours.
    """
    with decimal.localcontext(prec=76, Emax=999999, Emin=-999999) as context:
        context.traps[decimal.FloatOperation] = True
        yield


def parse_amount(value: object) -> Decimal:
    """Reads a provider's amount, in whatever unit it has, to 18 decimals rounded half-up.

    Accepts a JSON number (parsed as `Decimal` or `int`) or its text: OpenAI sends both, with up to 39 decimals
    and zeros such as "0E-6176". Raises ValueError for anything else, bool, float and NaN included.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        raise ValueError(f"an amount is a number or its text, not {type(value).__name__}")  # noqa: TRY004 - pydantic collects ValueError
    text = str(value)
    if not _LITERAL.fullmatch(text):
        raise ValueError(f"not a decimal number: {text[:60]!r}")
    try:
        with exact():
            number = Decimal(text)
            amount = number.quantize(COST_SCALE, rounding=ROUND_HALF_UP) if number else Decimal(0).quantize(COST_SCALE)
    except decimal.InvalidOperation:
        amount = _BEYOND
    if amount.copy_abs() >= _BEYOND:
        raise ValueError(f"larger than any real amount: {text[:60]!r}")
    return amount


def minor_unit_digits(currency: str) -> int:
    """Digits after the point of a currency by ISO 4217: 2 for USD, 0 for JPY, 3 for KWD."""
    return get_currency_precision(currency)


def to_minor(amount: Decimal, currency: str) -> int:
    """Rounds an exact amount half-up to whole minor units (cents for USD). Once per invoice line."""
    with exact():
        return int(amount.scaleb(minor_unit_digits(currency)).to_integral_value(rounding=ROUND_HALF_UP))


def from_minor(amount_minor: int, currency: str) -> Decimal:
    """Minor units as an amount with the currency's digits: 1234 and USD give 12.34."""
    with exact():
        return Decimal(amount_minor).scaleb(-minor_unit_digits(currency))


def format_minor(amount_minor: int, currency: str, locale: str = "en_US") -> str:
    """Minor units as people read them: 123456, USD gives "$1,234.56"."""
    return format_currency(from_minor(amount_minor, currency), currency, locale=locale)


def format_usd(amount_usd: Decimal, locale: str = "en_US") -> str:
    """An exact USD amount for a person's eye: two decimals, half-up. Not for invoices."""
    return format_minor(to_minor(amount_usd, "USD"), "USD", locale)
