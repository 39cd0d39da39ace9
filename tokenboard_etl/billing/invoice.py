"""An issued document as a frozen value. Its totals are computed here, once; the template only prints them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from tokenboard_etl.billing.policy import Seller
from tokenboard_etl.money import USD
from tokenboard_etl.periods import Month

PROVIDER_NAMES = {"openai": "OpenAI", "openrouter": "OpenRouter"}

INVOICE, CREDIT_NOTE = "invoice", "credit_note"
"""Kinds of documents; a line that reverses another has the kind CREDIT_NOTE too."""

USAGE, FEE, MINIMUM, ADJUSTMENT, CREDIT = "usage", "fee", "minimum", "adjustment", "credit"
"""The other kinds of lines."""

CATEGORY, JOB, NO_JOB, REST = "category", "job", "no_job", "rest"
"""Parts of an appendix: operations may belong to no job, and the rest is usage that no operation explains."""


@dataclass(frozen=True)
class Line:
    """One printed line. `billed_exact` is USD before rounding, `amount_minor` what is printed.

    `service_month` is the month it is for. An adjustment and a reversal name what they are about by
    `original_invoice` and `original_line`. `taxes` are the codes of the taxes on it.
    """

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
    service_month: str
    original_invoice: str | None = None
    original_line: int | None = None
    taxes: tuple[str, ...] = ()


@dataclass(frozen=True)
class AppendixRow:
    """What of the usage lines was for a category or a job. `billed_exact` is USD before rounding.

    `amount_minor` is what is printed. `key` is the category or the job's id, empty for NO_JOB and REST; quantities are
    None where nobody tells any.
    """

    row_no: int
    part: str
    key: str
    title: str | None
    cvs: Decimal | None
    questions: Decimal | None
    minutes: Decimal | None
    billed_exact: Decimal
    amount_minor: int


@dataclass(frozen=True)
class Tax:
    """A tax by its name and rate: 19 is 19 %."""

    rule_id: str
    name: str
    percent: Decimal
    note: str | None = None

    @property
    def code(self) -> str:
        """Equal for what is added up before it is rounded."""
        whole, _, decimals = f"{self.percent:f}".partition(".")
        decimals = decimals.rstrip("0")
        return f"{self.name} {whole}.{decimals}%" if decimals else f"{self.name} {whole}%"


@dataclass(frozen=True)
class TaxSum:
    """A tax on the sum of the lines it is on."""

    tax: Tax
    base_minor: int
    tax_minor: int


@dataclass(frozen=True)
class CreditUse:
    """What a document takes of a credit (`used`, in the credit's currency), or gives back where it is negative.

    `granted` is all the policy grants of it, `amount_minor` the same as `used` in the document's currency.
    """

    credit_id: str
    currency: str
    granted: Decimal
    used: Decimal
    amount_minor: int


@dataclass(frozen=True)
class Buyer:
    """The tenant as it was on the day of issue."""

    tenant_id: str
    name: str
    country: str | None
    email: str | None


@dataclass(frozen=True)
class Acceptance:
    """Who closed a month although something spoke against it, and why. `because` is what did; it is not printed."""

    reason: str
    by: str
    because: str


@dataclass(frozen=True)
class Invoice:
    """A document for one tenant and month; amounts in minor units of `currency`.

    A credit note is one whose amounts are negative. `reason` is why a person had it made. The rows of `appendix` by
    category, and those by job, add up to the usage lines.
    """

    number: str
    buyer: Buyer
    month: Month
    currency: str
    issued_at: datetime
    lines: tuple[Line, ...]
    taxes: tuple[TaxSum, ...] = ()
    kind: str = INVOICE
    per_usd: Decimal = USD
    credit_uses: tuple[CreditUse, ...] = ()
    seller: Seller | None = None
    due_on: date | None = None
    terms: str | None = None
    reason: str | None = None
    accepted: Acceptance | None = None
    corrects: str | None = None
    appendix: tuple[AppendixRow, ...] = ()

    @property
    def usage_minor(self) -> int:
        return sum(line.amount_minor for line in self.lines if line.kind == USAGE)

    @property
    def net_minor(self) -> int:
        return sum(line.amount_minor for line in self.lines)

    @property
    def tax_minor(self) -> int:
        return sum(each.tax_minor for each in self.taxes)

    @property
    def total_minor(self) -> int:
        return self.net_minor + self.tax_minor


@dataclass(frozen=True)
class Rendered:
    """A document's bytes and the template that made them; `template_sha256` is that of its files."""

    html: bytes
    template: str
    template_sha256: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.html).hexdigest()


Render = Callable[[Invoice], Rendered]
"""Turns a document into its bytes; passed in, so that billing knows nothing of templates."""
