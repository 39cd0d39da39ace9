"""The views of the published file, held against the world."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable
from datetime import timedelta
from decimal import ROUND_DOWN, Decimal
from fractions import Fraction
from typing import Any, TypeVar

import pytest

from reading.conftest import CLOSED, CLOSED_AT, READ_AT, RUNNING, Ask, Spent, spent_by, total
from tokenboard_etl.providers.sandbox.world import World

pytestmark = pytest.mark.slow

Key = TypeVar("Key", bound=Hashable)
NAMES = {tenant.tenant_id: tenant.name for tenant in World().tenants}
STATES = {str(CLOSED): "closed", str(RUNNING): "open"}


def grouped(rows: list[Spent], key: Callable[[Spent], Key]) -> dict[Key, list[Spent]]:
    found: dict[Key, list[Spent]] = defaultdict(list)
    for row in rows:
        found[key(row)].append(row)
    return found


def amounts(rows: list[Spent]) -> tuple[Decimal, Decimal, Decimal]:
    cost, billed = [row.cost_usd for row in rows], [row.billed_usd for row in rows]
    return total(cost), total(billed), total([*billed, *(-each for each in cost)])


def percent(cost: Decimal, billed: Decimal) -> Decimal | None:
    if billed <= 0:
        return None
    share = (Fraction(billed) - Fraction(cost)) / Fraction(billed) * 100
    return (Decimal(share.numerator) / Decimal(share.denominator)).quantize(Decimal("0.01"), ROUND_DOWN)


def test_tenant_months(ask: Ask, spent: list[Spent]) -> None:
    now, then = (grouped(each, lambda row: (row.month, row.tenant_id)) for each in (spent, spent_by(CLOSED_AT)))
    expected: dict[tuple[str, str], tuple[Any, ...]] = {}
    for (month, tenant_id), rows in now.items():
        cost, billed, margin = amounts(rows)
        was = amounts(then[month, tenant_id])[1] if month == str(CLOSED) else billed
        figures = (cost, billed, margin, percent(cost, billed), 0, billed - was)
        expected[month, tenant_id] = (NAMES.get(tenant_id), STATES[month], *figures)
    found = ask(
        """
        SELECT month, tenant_id, tenant_name, state, cost_usd, billed_usd, margin_usd, margin_percent,
            estimated_billed_usd, due_usd
        FROM views.tenant_months
        """
    )
    assert {row[:2]: row[2:] for row in found} == expected
    assert len(found) == len(expected)
    assert {bool(due) for *_, due in found} == {True, False}


def test_daily_spend(ask: Ask, spent: list[Spent]) -> None:
    """A day is final once it was read four days after its end."""
    final_until = (READ_AT - timedelta(days=5)).date()
    expected = {
        (day, tenant_id): (NAMES.get(tenant_id), day <= final_until, *amounts(rows), 0)
        for (day, tenant_id), rows in grouped(spent, lambda row: (row.usage_date, row.tenant_id)).items()
    }
    found = ask(
        """
        SELECT usage_date, tenant_id, tenant_name, is_final, cost_usd, billed_usd, margin_usd, estimated_billed_usd
        FROM views.daily_spend
        """
    )
    assert {row[:2]: row[2:] for row in found} == expected
    assert len(found) == len(expected)


def test_unallocated_accounts(ask: Ask, spent: list[Spent]) -> None:
    loose = [row for row in spent if row.tenant_id == "unallocated" and row.cost_usd]
    expected = {
        key: (min(row.usage_date for row in rows), max(row.usage_date for row in rows), amounts(rows)[0])
        for key, rows in grouped(loose, lambda row: (row.month, row.provider, row.account_id)).items()
    }
    found = ask(
        """
        SELECT month, provider, account_id, first_day, last_day, cost_usd, account_name, account_status
        FROM views.unallocated_accounts
        """
    )
    assert {row[:3]: row[3:6] for row in found} == expected
    assert len(found) == len(expected)
    names = {project.id: project.name for project in World().organizations[0].projects}
    named = {account: (name, status) for _, _, account, *_, name, status in found if account in names}
    assert named
    assert named == {account: (names[account], "active") for account in named}
    assert {(name, status) for _, _, account, *_, name, status in found if account == ""} == {(None, None)}
