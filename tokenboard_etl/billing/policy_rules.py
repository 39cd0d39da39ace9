"""The rules of a policy, each with an id and the UTC days it holds, and how one of several is chosen.

Where rules compete, the one with more fields wins; ties go by the order of the fields, then exact text over a glob,
field by field. That order is a number, `precedence`, so that SQL only has to take the highest.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import ClassVar, Literal, Self, TypeVar

from pydantic import Field, model_validator

from tokenboard_etl.billing.policy_fields import (
    Amount,
    Country,
    Currency,
    Day,
    Multiplier,
    Name,
    Part,
    Pattern,
    Percent,
    Rate,
    RuleId,
    TaxPercent,
    Text,
    TokenPrice,
    Whole,
)
from tokenboard_etl.billing.policy_globs import intersect, is_glob, matches
from tokenboard_etl.money import MULTIPLIER_SCALE, exact

SINCE_EVER = date(1970, 1, 1)


class Rule(Part):
    """`from` is the first UTC day, `until` the day after the last one."""

    id: RuleId = Field(description="Unique in the file; named by charges, invoices and errors.")
    valid_from: Day = Field(alias="from", description="First UTC day.")
    valid_until: Day | None = Field(None, alias="until", description="UTC day after the last one; none: no end.")

    @model_validator(mode="after")
    def _some_day(self) -> Self:
        if self.valid_until is not None and self.valid_until <= self.valid_from:
            raise ValueError(f"until {self.valid_until} is not after from {self.valid_from}")
        return self

    def holds_on(self, day: date) -> bool:
        return self.valid_from <= day and (self.valid_until is None or day < self.valid_until)

    def overlaps(self, other: Rule) -> bool:
        """Whether both hold on some day."""
        return (other.valid_until is None or self.valid_from < other.valid_until) and (
            self.valid_until is None or other.valid_from < self.valid_until
        )


class Scoped(Rule):
    """A rule for what its fields match; a field that is not given matches everything, known or not."""

    fields: ClassVar[tuple[str, ...]]
    """What it can be narrowed by, the most telling first."""

    @property
    def slot(self) -> tuple[str, ...]:
        """Rules compete only within a slot."""
        return ()

    @property
    def patterns(self) -> tuple[str | None, ...]:
        return tuple(getattr(self, name) for name in self.fields)

    @property
    def precedence(self) -> int:
        """The higher one wins; from 1. Digits: how many fields, which ones, which of them exact."""
        given = [pattern is not None for pattern in self.patterns]
        exactly = [pattern is not None and not is_glob(pattern) for pattern in self.patterns]
        bits = 1 << len(given)
        return 1 + sum(given) * bits * bits + _as_bits(given) * bits + _as_bits(exactly)

    def covers(self, day: date, *facts: str | None) -> bool:
        """Whether it holds on the day for these values of its fields, in their order."""
        return self.holds_on(day) and all(
            pattern is None or (fact is not None and matches(pattern, fact))
            for pattern, fact in zip(self.patterns, facts, strict=True)
        )

    def collides_with(self, other: Scoped) -> bool:
        """Whether on some day something matches both and neither goes first."""
        return (
            (self.slot, self.precedence) == (other.slot, other.precedence)
            and self.overlaps(other)
            and all(
                a is None or b is None or intersect(a, b) for a, b in zip(self.patterns, other.patterns, strict=True)
            )
        )


AnyScoped = TypeVar("AnyScoped", bound=Scoped)


def winner(rules: Iterable[AnyScoped], day: date, *facts: str | None) -> AnyScoped | None:
    """The rule that goes first; None where none holds. Rules of a loaded policy never tie."""
    return max(
        (rule for rule in rules if rule.covers(day, *facts)), key=lambda rule: (rule.precedence, rule.id), default=None
    )


class ForTenants(Scoped):
    """A rule for some tenants, or for all."""

    fields: ClassVar[tuple[str, ...]] = ("tenant",)

    tenant: Pattern | None = Field(None, description="tenant_id, exact or a glob.")


class Margin(ForTenants):
    """Sell price per dollar of cost, as `percent` on top (25) or as a `multiplier` (1.25)."""

    fields: ClassVar[tuple[str, ...]] = ("tenant", "line_item", "model", "category", "provider")

    percent: Percent | None = Field(None, description="On top of the cost: 25 is a multiplier of 1.25.")
    multiplier: Multiplier | None = Field(None, description="Instead of percent.")
    provider: Pattern | None = Field(None, description="openai or openrouter.")
    model: Pattern | None = Field(None, description="Items that are no model match no pattern here.")
    line_item: Pattern | None = Field(None, description="The provider's line item.")
    category: Pattern | None = Field(None, description="A category of this policy, or uncategorised.")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.percent is None) == (self.multiplier is None):
            raise ValueError("give either percent or multiplier")
        return self

    @property
    def factor(self) -> Decimal:
        """Sell price per dollar of cost, 6 decimals."""
        with exact():
            if self.multiplier is not None:
                return self.multiplier.quantize(MULTIPLIER_SCALE)
            return (1 + (self.percent or Decimal(0)).scaleb(-2)).quantize(MULTIPLIER_SCALE)


class Fee(ForTenants):
    """A fixed amount per month that holds the rule on its first day. All fees that match are charged."""

    description: Text = Field(description="As printed.")
    amount: Amount
    currency: Currency | None = Field(None, description="Default: the policy's.")


class Minimum(ForTenants):
    """The least that a month's usage is invoiced at."""

    amount: Amount
    currency: Currency | None = Field(None, description="Default: the policy's.")


class Credit(Rule):
    """Money a tenant has in advance: given (promotional) or paid (prepaid). It can be used while it holds."""

    tenant: Name
    kind: Literal["promotional", "prepaid"]
    amount: Amount
    currency: Currency | None = Field(None, description="Default: the policy's.")
    description: Text | None = Field(None, description="As printed.")


class Tax(ForTenants):
    """A tax by its `name`: of the rules of one name the first goes; taxes of several names add up."""

    fields: ClassVar[tuple[str, ...]] = ("tenant", "country")

    name: Text = Field(description="As printed: VAT.")
    percent: TaxPercent
    country: Country | None = Field(None, description="The buyer's, ISO 3166.")
    note: Text | None = Field(None, description="Printed below, such as the reason of a zero rate.")

    @property
    def slot(self) -> tuple[str, ...]:
        return (self.name,)


class Exchange(Part):
    """Units of `currency` for one US dollar, from a day until the next entry of that currency."""

    id: RuleId
    currency: Currency
    per_usd: Rate
    valid_from: Day = Field(alias="from", description="First UTC day.")


class Budget(ForTenants):
    """What a tenant means to spend in a month, in USD of its own prices; `thresholds` are percents of it."""

    usd: Amount
    thresholds: tuple[Whole, ...] = Field((50, 80, 100), description="Percents that are reported when reached.")

    push: bool = Field(False, description="Whether it is a hard limit at the providers too, divided by the margin.")

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if not self.thresholds or list(self.thresholds) != sorted(set(self.thresholds)) or self.thresholds[0] < 1:
            raise ValueError("thresholds must be whole percents from 1 up, each higher than the one before")
        return self


class Category(Rule):
    """A kind of operation. The first rule of the file that matches decides.

    Every condition given must hold. A rule without any condition is for whatever has usage figures.
    """

    category: Name
    over_tokens_per_request: Whole | None = Field(None, ge=0, description="More than so many, input and output.")
    api_key: Pattern | None = None
    project: Pattern | None = Field(None, description="OpenAI project id or OpenRouter key hash.")
    model: Pattern | None = None


class FallbackPrice(ForTenants):
    """What one unit of an operation is taken to cost where neither the provider nor the price book says."""

    category: Name
    unit: Text = Field(description="What is counted: cv, question, minute.")
    usd: Amount

    @property
    def slot(self) -> tuple[str, ...]:
        return (self.category,)


class PriceOverride(Scoped):
    """A token price that goes before the price book's, in estimates."""

    fields: ClassVar[tuple[str, ...]] = ("model", "tier")

    model: Pattern
    tier: Literal["default", "batch", "flex", "priority"] | None = None
    token_kind: Literal[
        "input",
        "cached_input",
        "cache_write",
        "output",
        "audio_input",
        "audio_cached_input",
        "audio_output",
        "image_input",
        "image_cached_input",
        "image_output",
    ]
    usd_per_million_tokens: TokenPrice

    @property
    def slot(self) -> tuple[str, ...]:
        return (self.token_kind,)

    @property
    def usd_per_token(self) -> Decimal:
        with exact():
            return self.usd_per_million_tokens.scaleb(-6)


class InvoicedEstimates(Scoped):
    """Days of a tenant whose estimates are invoiced where the provider's figures are not there.

    What the provider says later is a correction, as of any other line.
    """

    fields: ClassVar[tuple[str, ...]] = ("tenant",)

    tenant: Name
    valid_until: Day = Field(alias="until", description="UTC day after the last one.")


def _as_bits(flags: Iterable[bool]) -> int:
    return int("".join(str(int(flag)) for flag in flags), 2)
