"""Exact money: integers inside, `Decimal` outside, never a binary fraction."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Context, Decimal, Inexact

EXACT = Context(prec=120, traps=[Inexact])
"""Wide enough for any sum of 39-decimal amounts; an inexact result raises instead of being rounded."""
PICO_DIGITS = 12
WIRE_DIGITS = 39
_TAIL_SHIFT = 10 ** (WIRE_DIGITS - PICO_DIGITS)


def from_pico(pico: int, tail: int = 0) -> Decimal:
    """`pico` millionths of a millionth of a dollar; `tail` adds units of the 39th decimal."""
    if tail:
        return Decimal(f"{pico * _TAIL_SHIFT + tail}E-{WIRE_DIGITS}")
    return Decimal(f"{pico}E-{PICO_DIGITS}")


def exact_sum(amounts: Iterable[Decimal]) -> Decimal:
    """The sum to the last digit; the default context would keep 28 of them."""
    total = Decimal(0)
    for amount in amounts:
        total = EXACT.add(total, amount)
    return total


def plain(amount: Decimal) -> Decimal:
    """The same value without exponent and without trailing zeros, as a JSON number is written."""
    text = f"{amount:f}"
    return Decimal(text.rstrip("0").rstrip(".") if "." in text else text)


def pico_per_unit(usd: str, units: int = 1_000_000) -> int:
    """A price such as "2.50" USD per million tokens as whole picodollars per unit."""
    price = EXACT.scaleb(Decimal(usd), PICO_DIGITS)
    return int(EXACT.divide(price, Decimal(units)))
