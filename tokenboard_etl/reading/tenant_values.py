"""One tenant's figures as values: a month, its days, its parts.

Figures of the operator: they hold what the providers charge, too. `cost_usd`, `billed_usd` and `margin_usd` are the
providers' own figures alone, `estimated_billed_usd` is what else is charged so far. What is not known is None.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from tokenboard_etl.periods import Month


@dataclass(frozen=True)
class Amounts:
    """US dollars, exact."""

    cost_usd: Decimal
    billed_usd: Decimal
    margin_usd: Decimal
    estimated_billed_usd: Decimal


@dataclass(frozen=True)
class ProviderMonth:
    """`state`: open, settled or closed; None where only estimates are there."""

    provider: str
    state: str | None
    amounts: Amounts


@dataclass(frozen=True)
class Budget:
    """What the tenant means to spend in the month; percentages are the highest threshold reached, None for none."""

    budget_usd: Decimal
    spent_usd: Decimal
    remaining_usd: Decimal
    forecast_usd: Decimal
    threshold_reached: int | None
    threshold_forecast: int | None


@dataclass(frozen=True)
class Document:
    """An invoice or credit note of the month, amount in minor units."""

    invoice_number: str
    kind: str
    status: str
    currency: str
    total_minor: int


@dataclass(frozen=True)
class Today:
    """The running UTC day as the intraday file has it: an estimate as of the minute `as_of`.

    `estimated_billed_usd` is None where nothing was read of the day, or part of it has no price.
    """

    usage_date: date
    as_of: datetime | None
    estimated_billed_usd: Decimal | None


@dataclass(frozen=True)
class Summary:
    """A tenant's month; `last_day` is the newest day with figures of anybody."""

    tenant_id: str
    name: str | None
    status: str | None
    month: Month
    last_day: date
    total: Amounts
    providers: tuple[ProviderMonth, ...]
    budget: Budget | None
    invoices: tuple[Document, ...]
    today: Today


@dataclass(frozen=True)
class Day:
    """`state` is that of the least certain of our connections; `amounts` is of what is known, None where nothing is.

    Of a provider that was not read it is not known what was billed: None, which is not zero.
    """

    usage_date: date
    state: str
    amounts: Amounts | None
    billed_usd_by_provider: dict[str, Decimal | None]


@dataclass(frozen=True)
class Part:
    """`key` is an id, a line item, a model (None for what is no model), a category or a job; `name` is for people."""

    provider: str | None
    key: str | None
    name: str | None
    amounts: Amounts


@dataclass(frozen=True)
class Breakdown:
    """A tenant's month in parts, the largest first. The parts add up to `total`."""

    tenant_id: str
    month: Month
    by: str
    total: Amounts
    parts: tuple[Part, ...]
