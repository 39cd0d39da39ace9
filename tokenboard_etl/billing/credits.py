"""Credits: money a tenant has in advance, used up to an invoice's total and never twice.

A credit is a line before tax. What it is enough for in whole minor units is used; the rest stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal

from tokenboard_etl.billing.invoice import CREDIT, CreditUse, Invoice, Line, Tax
from tokenboard_etl.billing.lines import flat_line, numbered
from tokenboard_etl.billing.policy import Policy
from tokenboard_etl.billing.policy_rules import Credit
from tokenboard_etl.billing.taxes import tax_sums
from tokenboard_etl.money import COST_SCALE, exact, minor_as, whole_minor
from tokenboard_etl.periods import utc_day

KINDS = {"promotional": "Promotional credit", "prepaid": "Prepaid credit"}


def apply_credits(
    document: Invoice, policy: Policy, used: Mapping[str, Decimal], own: tuple[Tax, ...], known: tuple[Tax, ...]
) -> Invoice:
    """The document with the credits that hold on its day, in their order; its total does not fall below zero.

    `used` has by credit what was used before. A credit takes from what the taxes of the day, `own`, are on; `known` are
    all taxes on the document.
    """
    day, lines, uses = utc_day(document.issued_at), list(document.lines), list[CreditUse]()
    codes = tuple(tax.code for tax in own)
    for credit in policy.credits_for(document.buyer.tenant_id, day):
        currency = credit.currency or policy.currency
        of_per_usd = policy.rate(currency, day)
        with exact():
            left = credit.amount - used.get(credit.id, Decimal(0))
        if left <= 0:
            continue
        enough_for = whole_minor(left, document.currency, per_usd=document.per_usd, of_per_usd=of_per_usd)
        open_minor = sum(line.amount_minor for line in lines if line.taxes == codes)

        def with_credit(amount: int, credit: Credit = credit) -> list[Line]:
            return [*lines, _line(document, credit, amount, codes)]

        def total(amount: int, with_credit: Callable[[int], list[Line]] = with_credit) -> int:
            after = with_credit(amount)
            return sum(line.amount_minor for line in after) + sum(each.tax_minor for each in tax_sums(after, known))

        amount = _largest(min(enough_for, open_minor), total)
        if amount <= 0:
            continue
        lines = with_credit(amount)
        spent = minor_as(amount, document.currency, COST_SCALE, per_usd=of_per_usd, of_per_usd=document.per_usd)
        uses.append(CreditUse(credit.id, currency, credit.amount, min(spent, left), amount))
    return replace(document, lines=numbered(lines), taxes=tax_sums(lines, known), credit_uses=tuple(uses))


def _largest(limit: int, total: Callable[[int], int]) -> int:
    """The largest amount up to `limit` that leaves no negative total; the total falls as the amount grows."""
    low, high = 0, max(0, limit)
    while low < high:
        middle = (low + high + 1) // 2
        if total(middle) >= 0:
            low = middle
        else:
            high = middle - 1
    return low


def _line(document: Invoice, credit: Credit, amount_minor: int, codes: tuple[str, ...]) -> Line:
    return flat_line(
        CREDIT,
        credit.description or KINDS[credit.kind],
        credit.id,
        -amount_minor,
        document.currency,
        document.per_usd,
        document.month,
        codes,
    )
