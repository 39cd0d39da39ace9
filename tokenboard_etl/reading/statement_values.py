"""What a statement says, as values: a tenant's days, its month in parts, and what they come to."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from tokenboard_etl.money import exact_sum
from tokenboard_etl.periods import Month
from tokenboard_etl.reading.tenant_figures import NOT_READ
from tokenboard_etl.reading.tenant_values import Budget, Document, Today


@dataclass(frozen=True)
class Price:
    """US dollars, exact: what is charged at the providers' own figures, and what is only estimated so far."""

    billed_usd: Decimal
    estimated_usd: Decimal

    @property
    def total_usd(self) -> Decimal:
        return exact_sum((self.billed_usd, self.estimated_usd))


@dataclass(frozen=True)
class PricedDay:
    """`state` is that of the least certain of our connections; a day nobody has read has no prices.

    `not_read` are the providers whose figures of the day are not there: unknown, which is not zero.
    """

    usage_date: date
    state: str
    prices: Mapping[str, Price]
    not_read: Collection[str] = ()

    @property
    def is_known(self) -> bool:
        return bool(self.prices) or self.state not in NOT_READ


@dataclass(frozen=True)
class PricedPart:
    """`key` is an id, line item, model, category or job, `name` is for people; `others` parts share a row if not 0."""

    provider: str | None
    key: str | None
    name: str | None
    price: Price
    others: int = 0


@dataclass(frozen=True)
class Statement:
    """A tenant's month. `own_accounts` is what providers charged the tenant itself, by provider, in US dollars."""

    tenant_id: str
    name: str
    month: Month
    last_day: date
    days: Sequence[PricedDay]
    parts: Mapping[str, Sequence[PricedPart]]
    budget: Budget | None
    documents: Sequence[Document]
    own_accounts: Mapping[str, Decimal]
    today: Today | None

    @property
    def providers(self) -> list[str]:
        return sorted({provider for day in self.days for provider in day.prices})

    def total(self, provider: str | None = None) -> Price:
        """Of the month, of one provider or all."""
        prices = [
            price for day in self.days for each, price in day.prices.items() if provider is None or each == provider
        ]
        return add_up(prices)


def add_up(prices: Sequence[Price]) -> Price:
    """The exact sum."""
    return Price(exact_sum(price.billed_usd for price in prices), exact_sum(price.estimated_usd for price in prices))
