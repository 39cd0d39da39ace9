"""Everything that decides what a tenant's documents say, as values. Who has them can compute the documents anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from tokenboard_etl.billing.invoice import Acceptance, Buyer, Tax
from tokenboard_etl.billing.policy import Policy
from tokenboard_etl.periods import Month


@dataclass(frozen=True)
class LineKey:
    """What tells the lines of a tenant's month apart."""

    provider: str
    account_id: str
    line_item: str
    margin_rule_id: str


@dataclass(frozen=True)
class RatedLine:
    """What a month's usage comes to now: one row of billing.invoice_drafts. `billed_exact` is USD."""

    key: LineKey
    account_name: str
    quantity: Decimal | None
    unit: str | None
    billed_exact: Decimal


@dataclass(frozen=True)
class UsagePart:
    """What of a month's usage is for a category or a job, as in an AppendixRow; `billed_exact` is USD."""

    part: str
    key: str
    title: str | None
    cvs: Decimal | None
    questions: Decimal | None
    minutes: Decimal | None
    billed_exact: Decimal


@dataclass(frozen=True)
class InvoicedLine:
    """What was invoiced so far under one key: usage and all adjustments, or the minimum and its adjustments.

    `line_no` is where it stands on the month's first document; None if it came later. `reversed_exact` and
    `reversed_minor` are what credit notes took back of it, negative.
    """

    key: LineKey
    account_name: str
    billed_exact: Decimal
    amount_minor: int
    line_no: int | None
    reversed_exact: Decimal = Decimal(0)
    reversed_minor: int = 0


@dataclass(frozen=True)
class ClosedMonth:
    """A month closed earlier that comes to something else now.

    `policy` is that it was closed with; `currency`, `per_usd` and `taxes` are those of `original`, the document that
    first billed it, or today's where there is none. `is_own` says whether that document is the month's own, for which
    minimums hold; `billed_on` is its UTC day of issue.
    """

    month: Month
    policy: Policy
    currency: str
    per_usd: Decimal
    taxes: tuple[Tax, ...]
    original: str | None
    is_own: bool
    billed_on: date
    rated: tuple[RatedLine, ...]
    invoiced: tuple[InvoicedLine, ...]


@dataclass(frozen=True)
class Inputs:
    """One tenant and the month to be closed.

    `is_customer`: an account was bound in the month, so that fees and minimums hold even without usage.
    `credits_used` has by credit what was used before, in the credit's currency. `parts` are the month's usage by
    category and once more by job; none where no appendix is wanted.
    """

    buyer: Buyer
    currency: str
    month: Month
    issued_at: datetime
    policy: Policy
    is_customer: bool
    rated: tuple[RatedLine, ...]
    closed: tuple[ClosedMonth, ...]
    credits_used: Mapping[str, Decimal]
    accepted: Acceptance | None = None
    parts: tuple[UsagePart, ...] = ()
