"""The only place that parses, rounds and formats money.

Amounts are `Decimal`, never float. A provider's figure keeps 18 decimals (`DECIMAL(38,18)`, rounded half-up
once, at load); multiplied by a margin it has 24; an invoice line is an integer of minor units.
"""

from __future__ import annotations

import decimal
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from functools import cache, partial, reduce
from math import floor

from babel.numbers import format_currency, get_currency_precision

from tokenboard_etl.layouts import Layout, layout_of

COST_SCALE = Decimal("1e-18")
MULTIPLIER_SCALE = Decimal("1e-6")
BILLED_SCALE = Decimal("1e-24")
USD = Decimal(1)
"""US dollars for one US dollar, where a rate is asked for."""

_CENT = Decimal("0.01")
_WIDE = decimal.Context(prec=76, traps=[decimal.InvalidOperation, decimal.FloatOperation])

_LITERAL = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_BEYOND = Decimal(10) ** 20
"""The first amount that DECIMAL(38,18) cannot hold."""
_LONGEST = 40
"""Digits before the point, or zeros behind it."""


@contextmanager
def exact() -> Iterator[None]:
    """Computes with 76 digits and refuses floats.

    Python's default of 28 digits silently rounds sums of DECIMAL(38,18); 76 holds any product of two of ours.
    """
    with decimal.localcontext(prec=76, Emax=999999, Emin=-999999) as context:
        context.traps[decimal.FloatOperation] = True
        yield


def exact_sum(amounts: Iterable[Decimal]) -> Decimal:
    """The sum with every digit; 0 of nothing. Quicker than a context of `exact` for each of many short sums."""
    return reduce(_WIDE.add, amounts, Decimal(0))


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


def written_out(number: Decimal) -> str:
    """A number's digits without an exponent. Raises ValueError where they would fill the memory, as of 1e999999999."""
    if abs(number.adjusted()) > _LONGEST:
        raise ValueError("is beyond any real number")
    return f"{number:f}"


def minor_unit_digits(currency: str) -> int:
    """Digits after the point of a currency as people write it (CLDR): 2 for USD, 0 for JPY, 3 for KWD.

    ISO 4217 has 2 where nobody uses them any more, RSD for one; amounts are rounded as they are printed.
    """
    return get_currency_precision(currency)


def to_minor(amount: Decimal, currency: str, *, per_usd: Decimal = USD, of_per_usd: Decimal = USD) -> int:
    """Rounds an exact amount half-up to whole minor units (cents for USD). Once per invoice line.

    An amount of another currency is converted first: `per_usd` is the rate of `currency`, `of_per_usd` that of the
    amount, both in units for one US dollar.
    """
    return _half_up(_minor(amount, currency, per_usd, of_per_usd))


def whole_minor(amount: Decimal, currency: str, *, per_usd: Decimal = USD, of_per_usd: Decimal = USD) -> int:
    """The minor units an amount is enough for, the rest left out; what can be spent of it. Not for negative ones."""
    return int(_minor(amount, currency, per_usd, of_per_usd))


def minor_as(
    amount_minor: int, currency: str, scale: Decimal, *, per_usd: Decimal = USD, of_per_usd: Decimal = USD
) -> Decimal:
    """Minor units of `currency` as an amount in another one, US dollars unless `per_usd` says, half-up to `scale`.

    `of_per_usd` is the rate of `currency`.
    """
    value = Fraction(amount_minor) / 10 ** minor_unit_digits(currency) * Fraction(per_usd) / Fraction(of_per_usd)
    with exact():
        return Decimal(_half_up(value / Fraction(scale))) * scale


def apportion(total_minor: int, amounts_usd: Sequence[Decimal], currency: str, *, per_usd: Decimal = USD) -> list[int]:
    """Whole minor units for one exact amount or more, of either sign, that add up to a total which is printed already.

    What rounding put into the total beside them goes by their size; then each is rounded down, and the units left over
    go to the largest remainders, ties to those that come first.
    """
    shares = [_minor(amount, currency, per_usd, USD) for amount in amounts_usd]
    sizes = [abs(share) for share in shares] if any(shares) else [Fraction(1)] * len(shares)
    per_size = (total_minor - sum(shares)) / sum(sizes, Fraction(0))
    shares = [share + per_size * size for share, size in zip(shares, sizes, strict=True)]
    found = [floor(share) for share in shares]
    largest = sorted(range(len(shares)), key=lambda place: found[place] - shares[place])
    for place in largest[: total_minor - sum(found)]:
        found[place] += 1
    return found


def percent_of(amount_minor: int, percent: Decimal) -> int:
    """So many percent of minor units, half-up: 19 of 1050 is 200. Once per tax rate."""
    return _half_up(Fraction(amount_minor) * Fraction(percent) / 100)


def from_minor(amount_minor: int, currency: str) -> Decimal:
    """Minor units as an amount with the currency's digits: 1234 and USD give 12.34."""
    with exact():
        return Decimal(amount_minor).scaleb(-minor_unit_digits(currency))


def format_minor(amount_minor: int, currency: str, locale: str = "en_US") -> str:
    """Minor units as people read them: 123456, USD gives "$1,234.56"."""
    amount, layout = from_minor(amount_minor, currency), _layout(currency, locale)
    return format_currency(amount, currency, locale=locale) if layout is None else layout.write(amount)


@cache
def _layout(currency: str, locale: str) -> Layout | None:
    return layout_of(partial(format_currency, currency=currency, locale=locale), minor_unit_digits(currency))


def format_usd(amount_usd: Decimal) -> str:
    """An exact USD amount for a person's eye: two decimals, half-up, as format_minor writes them. Not for invoices.

    Reports hold hundreds of thousands of them, which is why this one is not Babel's.
    """
    rounded = amount_usd.quantize(_CENT, ROUND_HALF_UP, _WIDE)
    return f"-${rounded.copy_abs():,}" if rounded < 0 else f"${rounded.copy_abs():,}"


def _minor(amount: Decimal, currency: str, per_usd: Decimal, of_per_usd: Decimal) -> Fraction:
    units: int = 10 ** minor_unit_digits(currency)
    return Fraction(amount) * units * Fraction(per_usd) / Fraction(of_per_usd)


def _half_up(value: Fraction) -> int:
    """To a whole number; a half goes away from zero."""
    whole = (2 * abs(value.numerator) + value.denominator) // (2 * value.denominator)
    return whole if value >= 0 else -whole
