"""What a token costs, read from a list: the bundled snapshot, or LiteLLM's price file.

Only prices per token, because only tokens are priced here: what is billed per second, call or image is in the
provider's costs. Prices of prompts over 272 thousand tokens are left out: sums of usage do not say which prompt was
long. No list says since when a price holds; that is for the price book.
"""

from __future__ import annotations

import csv
import json
import logging
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from tokenboard_etl.errors import LoadRefused
from tokenboard_etl.money import COST_SCALE, exact, parse_amount

log = logging.getLogger("tokenboard.prices")

Card = Mapping[tuple[str, str], Decimal]
"""(tier, kind of token) to USD per token: all that is known of one model."""

SNAPSHOT_DAY = date(2026, 11, 20)
"""The day of the bundled prices.csv, made from litellm 1.109.1 (MIT licence)."""

TIERS = {"default": "", "batch": "_batches", "flex": "_flex", "priority": "_priority"}
"""Price tier to the suffix LiteLLM gives its fields."""

FIELDS = {
    "input": "input_cost_per_token",
    "cached_input": "cache_read_input_token_cost",
    "cache_write": "cache_creation_input_token_cost",
    "output": "output_cost_per_token",
    "audio_input": "input_cost_per_audio_token",
    "audio_cached_input": "cache_read_input_audio_token_cost",
    "audio_output": "output_cost_per_audio_token",
    "image_input": "input_cost_per_image_token",
    "image_cached_input": "cache_read_input_image_token_cost",
    "image_output": "output_cost_per_image_token",
}
"""Kind of token to LiteLLM's field, in USD per token."""

_NO_MODELS = frozenset({"sample_spec", "fallback_generalizations"})
_BEYOND_USD = Decimal(1)
"""No token costs a dollar: a price like that is in another unit. The SQL's widths rely on it."""


def bundled_prices() -> dict[str, Card]:
    """The snapshot in this package, by model."""
    cards: dict[str, dict[tuple[str, str], Decimal]] = {}
    with Path(__file__).with_name("prices.csv").open(newline="") as file, exact():
        for row in csv.DictReader(file):
            price = Decimal(row["usd_per_million_tokens"]).scaleb(-6)
            cards.setdefault(row["model"], {})[row["tier"], row["token_kind"]] = price
    return dict(cards)


def read_litellm(text: bytes) -> dict[str, Card]:
    """OpenAI's models in a LiteLLM price file; raises LoadRefused where it is none.

    An entry with an impossible price is left out, with a warning: its model keeps the prices known.
    """
    try:
        entries = json.loads(text, parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise LoadRefused(f"it is not JSON ({error}).") from None
    if not isinstance(entries, dict):
        raise LoadRefused("it is not a JSON object of models.")
    cards: dict[str, Card] = {}
    for model, entry in entries.items():
        try:
            cards.update(_cards(model, entry))
        except ValueError as error:
            log.warning("the price file's entry for %.60r was not used: %s", model, error)
    return cards


def derived_prices(card: Card) -> dict[tuple[str, str], Decimal]:
    """What a list leaves unsaid: a tier's discount (or surcharge) on input holds for the model's other tokens too.

    OpenAI documents batch as half of every price, and lists caches in the other tiers by the same factor. Where a
    list states output as well and it contradicts the factor, nothing is derived.
    """
    found = {}
    for tier in [tier for tier in TIERS if tier != "default"]:
        standard, here = card.get(("default", "input")), card.get((tier, "input"))
        if not standard or here is None:
            continue
        factor = Fraction(here) / Fraction(standard)
        output, output_here = card.get(("default", "output")), card.get((tier, "output"))
        if output is not None and output_here is not None and Fraction(output) * factor != Fraction(output_here):
            continue
        for (of_tier, kind), price in card.items():
            if of_tier == "default" and (tier, kind) not in card:
                derived = _as_decimal(Fraction(price) * factor)
                if derived is not None:
                    found[tier, kind] = derived
    return found


def _cards(model: str, entry: Any) -> Iterator[tuple[str, Card]]:
    """The card of an entry under its name and its aliases. Names with a slash are sizes and routes, not models."""
    if model in _NO_MODELS or not isinstance(entry, dict) or entry.get("litellm_provider") != "openai":
        return
    card = {
        (tier, kind): _price(field + suffix, entry[field + suffix])
        for tier, suffix in TIERS.items()
        for kind, field in FIELDS.items()
        if entry.get(field + suffix) is not None
    }
    aliases = entry.get("aliases")
    names = [name for name in [model, *(aliases if isinstance(aliases, list) else [])] if isinstance(name, str)]
    if not all(map(str.isprintable, names)):  # half of a surrogate pair is no text, and DuckDB takes none
        raise ValueError("a name of it cannot be printed")
    yield from ((name, card) for name in names if card and "/" not in name)


def _price(field: str, value: object) -> Decimal:
    try:
        price = parse_amount(value)
    except ValueError as error:
        raise ValueError(f"{field}: {error}") from None
    if not 0 <= price < _BEYOND_USD:
        raise ValueError(f"{field}: {price:f} is no price in USD per token")
    return price


def _as_decimal(price: Fraction) -> Decimal | None:
    """The price with 18 decimals; None where that many do not hold it."""
    with exact():
        units = price / Fraction(COST_SCALE)
        return units.numerator * COST_SCALE if units.denominator == 1 else None
