"""Credits: money a tenant has in advance, used up to an invoice's total and never twice.

A credit is a line before tax. What it is enough for in whole minor units is used; the rest stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from tokenboard_etl.billing.invoice import CREDIT, CreditUse, Invoice, Tax
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
    day = utc_day(document.issued_at)
    codes = tuple(tax.code for tax in own)
    for credit in policy.credits_for(document.buyer.tenant_id, day):
        currency = credit.currency or policy.currency
        of_per_usd = policy.rate(currency, day)
        with exact():
            left = credit.amount - used.get(credit.id, Decimal(0))
        if left <= 0:
            continue
        enough_for = whole_minor(left, document.currency, per_usd=document.per_usd, of_per_usd=of_per_usd)
        amount = _usable(document, credit, enough_for, codes, known)
        if amount <= 0:
            continue
        spent = minor_as(amount, document.currency, COST_SCALE, per_usd=of_per_usd, of_per_usd=document.per_usd)
        use = CreditUse(credit.id, currency, credit.amount, min(spent, left), amount)
        document = _less(document, credit, amount, codes, known)
        document = replace(document, credit_uses=(*document.credit_uses, use))
    return document


def _usable(document: Invoice, credit: Credit, enough_for: int, codes: tuple[str, ...], known: tuple[Tax, ...]) -> int:
    """The largest amount that leaves nothing negative; the total falls as the amount grows."""
    taxed_alike = sum(line.amount_minor for line in document.lines if line.taxes == codes)
    low, high = 0, max(0, min(enough_for, taxed_alike))
    while low < high:
        middle = (low + high + 1) // 2
        if _less(document, credit, middle, codes, known).total_minor >= 0:
            low = middle
        else:
            high = middle - 1
    return low


def _less(
    document: Invoice, credit: Credit, amount_minor: int, codes: tuple[str, ...], known: tuple[Tax, ...]
) -> Invoice:
    """The document with a credit on it."""
    line = flat_line(
        CREDIT,
        credit.description or KINDS[credit.kind],
        credit.id,
        -amount_minor,
        document.currency,
        document.per_usd,
        document.month,
        codes,
    )
    lines = numbered([*document.lines, line])
    return replace(document, lines=lines, taxes=tax_sums(lines, known))
