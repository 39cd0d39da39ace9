"""Taxes on a document: per name and rate on the sum of its lines, rounded once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from tokenboard_etl.billing.invoice import Line, Tax, TaxSum
from tokenboard_etl.billing.policy import Policy
from tokenboard_etl.money import percent_of


def taxes_of(policy: Policy, tenant_id: str, country: str | None, day: date) -> tuple[Tax, ...]:
    """What a buyer pays on what is invoiced on a UTC day."""
    return tuple(Tax(tax.id, tax.name, tax.percent, tax.note) for tax in policy.taxes_for(tenant_id, country, day))


def tax_sums(lines: Sequence[Line], known: Iterable[Tax]) -> tuple[TaxSum, ...]:
    """The taxes that are on any of the lines, by code. Of several that are `known` by a code the first is named."""
    by_code: dict[str, Tax] = {}
    for tax in known:
        by_code.setdefault(tax.code, tax)
    used = sorted({code for line in lines for code in line.taxes})
    bases = {code: sum(line.amount_minor for line in lines if code in line.taxes) for code in used}
    return tuple(TaxSum(by_code[code], base, percent_of(base, by_code[code].percent)) for code, base in bases.items())
