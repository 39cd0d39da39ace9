"""The lines of a month: usage, fees, and what is missing to the minimum."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal

from tokenboard_etl.billing.inputs import Inputs, LineKey
from tokenboard_etl.billing.invoice import FEE, MINIMUM, PROVIDER_NAMES, USAGE, Line
from tokenboard_etl.billing.policy import Policy
from tokenboard_etl.billing.policy_rules import Minimum
from tokenboard_etl.money import BILLED_SCALE, minor_as, to_minor
from tokenboard_etl.periods import Month, utc_day


def lines_of_the_month(inputs: Inputs, codes: tuple[str, ...]) -> Iterator[Line]:
    """What is billed for the month itself; `codes` are the taxes on it. Raises PolicyError without an exchange rate."""
    policy, tenant, currency, day = inputs.policy, inputs.buyer.tenant_id, inputs.currency, utc_day(inputs.issued_at)
    per_usd = policy.rate(currency, day)
    usage = list(_usage_lines(inputs, per_usd, codes))
    yield from usage
    if not (usage or inputs.is_customer):
        return
    for fee in policy.fees_for(tenant, inputs.month.first):
        of_per_usd = policy.rate(fee.currency or policy.currency, day)
        amount = to_minor(fee.amount, currency, per_usd=per_usd, of_per_usd=of_per_usd)
        yield flat_line(FEE, fee.description, fee.id, amount, currency, per_usd, inputs.month, codes)
    minimum = policy.minimum_for(tenant, inputs.month.first)
    if minimum is not None:
        missing = least_minor(minimum, policy, currency, per_usd, day) - sum(line.amount_minor for line in usage)
        if missing > 0:
            described = minimum_described(minimum, policy)
            yield flat_line(MINIMUM, described, minimum.id, missing, currency, per_usd, inputs.month, codes)


def least_minor(minimum: Minimum, policy: Policy, currency: str, per_usd: Decimal, day: date) -> int:
    """A minimum in minor units of the invoice's currency, at the rates of a UTC day."""
    of_per_usd = policy.rate(minimum.currency or policy.currency, day)
    return to_minor(minimum.amount, currency, per_usd=per_usd, of_per_usd=of_per_usd)


def minimum_described(minimum: Minimum, policy: Policy) -> str:
    """As printed."""
    return f"Minimum commitment of {minimum.amount:f} {minimum.currency or policy.currency}"


def described(key: LineKey, account_name: str) -> str:
    """A usage line as printed in one line."""
    return f"{PROVIDER_NAMES[key.provider]} · {account_name} · {key.line_item or 'not itemised'}"


def flat_line(
    kind: str,
    description: str,
    rule_id: str,
    amount_minor: int,
    currency: str,
    per_usd: Decimal,
    month: Month,
    codes: tuple[str, ...],
) -> Line:
    """A line that is no usage; its exact figure is what is printed, in USD."""
    exact_usd = minor_as(amount_minor, currency, BILLED_SCALE, of_per_usd=per_usd)
    return Line(
        0, kind, description, "", "", "", "", rule_id, None, None, exact_usd, amount_minor, str(month), taxes=codes
    )


def numbered(lines: Sequence[Line]) -> tuple[Line, ...]:
    """The lines in their order, from 1."""
    return tuple(replace(line, line_no=position) for position, line in enumerate(lines, start=1))


def _usage_lines(inputs: Inputs, per_usd: Decimal, codes: tuple[str, ...]) -> Iterator[Line]:
    for rated in inputs.rated:
        key = rated.key
        yield Line(
            0,
            USAGE,
            described(key, rated.account_name),
            key.provider,
            key.account_id,
            rated.account_name,
            key.line_item,
            key.margin_rule_id,
            rated.quantity,
            rated.unit,
            rated.billed_exact,
            to_minor(rated.billed_exact, inputs.currency, per_usd=per_usd),
            str(inputs.month),
            taxes=codes,
        )
