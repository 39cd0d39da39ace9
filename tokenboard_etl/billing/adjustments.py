"""Corrections of closed months: what a line comes to now minus what was invoiced for it, under the month's own terms.

Both the exact figure and the printed one are differences of sums, so that all documents of a month together print
each line rounded once, and their exact figures are the rated ones to the last digit. Only a line that a credit note
took back is not corrected below nothing: what was given back is not given back again.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TypeVar

from tokenboard_etl.billing.inputs import ClosedMonth, InvoicedLine, LineKey, RatedLine
from tokenboard_etl.billing.invoice import ADJUSTMENT, Line
from tokenboard_etl.billing.lines import described, least_minor, minimum_described
from tokenboard_etl.money import BILLED_SCALE, exact, minor_as, to_minor

_Figure = TypeVar("_Figure", int, Decimal)


def adjustments(closed: ClosedMonth, tenant_id: str) -> Iterator[Line]:
    """One line for each that comes to something else now, by key; none where nothing changed."""
    rated = {line.key: line for line in closed.rated}
    invoiced = {line.key: line for line in closed.invoiced}
    usage_minor = 0
    for key in sorted(rated.keys() | invoiced.keys(), key=_order):
        if not key.provider:
            continue
        now = rated[key].billed_exact if key in rated else Decimal(0)
        now_minor = to_minor(now, closed.currency, per_usd=closed.per_usd)
        usage_minor += now_minor
        named: RatedLine | InvoicedLine = rated.get(key) or invoiced[key]
        description = described(key, named.account_name)
        yield from _difference(closed, key, description, named.account_name, now, now_minor, invoiced.get(key))
    if closed.is_own:
        yield from _of_the_minimum(closed, tenant_id, usage_minor, invoiced)


def _of_the_minimum(
    closed: ClosedMonth, tenant_id: str, usage_minor: int, invoiced: dict[LineKey, InvoicedLine]
) -> Iterator[Line]:
    """What is missing to the minimum moves against the usage."""
    minimum = closed.policy.minimum_for(tenant_id, closed.month.first)
    if minimum is None:
        return
    key = LineKey("", "", "", minimum.id)
    missing = max(
        0, least_minor(minimum, closed.policy, closed.currency, closed.per_usd, closed.billed_on) - usage_minor
    )
    now = minor_as(missing, closed.currency, BILLED_SCALE, of_per_usd=closed.per_usd)
    described_as = minimum_described(minimum, closed.policy)
    yield from _difference(closed, key, described_as, "", now, missing, invoiced.get(key))


def _difference(
    closed: ClosedMonth,
    key: LineKey,
    description: str,
    account_name: str,
    now: Decimal,
    now_minor: int,
    before: InvoicedLine | None,
) -> Iterator[Line]:
    with exact():
        change = now if before is None else _left_standing(now, before.reversed_exact) - before.billed_exact
    if change == 0:
        return
    yield Line(
        0,
        ADJUSTMENT,
        f"{closed.month}: {description}",
        key.provider,
        key.account_id,
        account_name,
        key.line_item,
        key.margin_rule_id,
        None,
        None,
        change,
        now_minor if before is None else _left_standing(now_minor, before.reversed_minor) - before.amount_minor,
        str(closed.month),
        closed.original,
        before.line_no if before else None,
        tuple(tax.code for tax in closed.taxes),
    )


def _left_standing(now: _Figure, reversed_: _Figure) -> _Figure:
    """What a line has to be invoiced at: what it comes to now, but no less than what was taken back of it.

    Below zero the refund comes on top. The same stands in sql/billing/corrections_due.sql.
    """
    return max(now, min(now, type(now)(0)) - reversed_)


def _order(key: LineKey) -> tuple[str, ...]:
    return (key.provider, key.account_id, key.line_item, key.margin_rule_id)
