"""The invoice as a frozen value. Its totals are computed here, once; the template only prints them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from tokenboard_etl.periods import Month

PROVIDER_NAMES = {"openai": "OpenAI", "openrouter": "OpenRouter"}


@dataclass(frozen=True)
class Line:
    """One printed line. `billed_exact` is USD before rounding, `amount_minor` what is printed."""

    line_no: int
    kind: str
    description: str
    provider: str
    account_id: str
    account_name: str
    line_item: str
    margin_rule_id: str
    quantity: Decimal | None
    unit: str | None
    billed_exact: Decimal
    amount_minor: int


@dataclass(frozen=True)
class Buyer:
    """The tenant as it was on the day of issue."""

    tenant_id: str
    name: str
    country: str | None
    email: str | None


@dataclass(frozen=True)
class Invoice:
    """A document for one tenant and month; amounts in minor units of `currency`."""

    number: str
    buyer: Buyer
    month: Month
    currency: str
    issued_at: datetime
    lines: tuple[Line, ...]
    tax_minor: int = 0
    kind: str = "invoice"

    @property
    def net_minor(self) -> int:
        return sum(line.amount_minor for line in self.lines)

    @property
    def total_minor(self) -> int:
        return self.net_minor + self.tax_minor


@dataclass(frozen=True)
class Rendered:
    """A document's bytes and the template that made them."""

    html: bytes
    template: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.html).hexdigest()


Render = Callable[[Invoice], Rendered]
"""Turns an invoice into its document; passed in, so that billing knows nothing of templates."""
