"""docs/questions.md: the published file answers what the world knows."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from math import floor
from pathlib import Path
from typing import Any

import pytest

from reading.conftest import CLOSED, CLOSED_AT, LAST_DAY, READ_AT, Ask, Spent, spent_by, total
from tokenboard_etl.periods import Window
from tokenboard_etl.providers.sandbox.world import World

pytestmark = pytest.mark.slow

TEXT = (Path(__file__).parents[2] / "docs" / "questions.md").read_text()
QUESTIONS = dict(enumerate(re.findall(r"^## \d+\. (.+)$", TEXT, re.MULTILINE), start=1))
QUERIES = dict(enumerate(re.findall(r"^```sql\n(.+?)^```$", TEXT, re.MULTILINE | re.DOTALL), start=1))

Rows = list[tuple[Any, ...]]
MAY, JUNE = "2026-05", "2026-06"
BUSY = "contoso-retail"


def grouped(rows: Iterable[Spent], key: Callable[[Spent], Hashable]) -> dict[Any, list[Spent]]:
    groups: dict[Any, list[Spent]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups


def cost(rows: Iterable[Spent]) -> Decimal:
    return total(row.cost_usd for row in rows)


def billed(rows: Iterable[Spent]) -> Decimal:
    return total(row.billed_usd for row in rows)


def of_tenants(spent: list[Spent]) -> list[Spent]:
    return [row for row in spent if row.tenant_id != "unallocated"]


def owed_by_tenant(spent: list[Spent]) -> Rows:
    tenants = grouped((row for row in spent if row.month == MAY), lambda row: row.tenant_id)
    return sorted(((t, cost(rows), billed(rows)) for t, rows in tenants.items()), key=lambda row: (-row[2], row[0]))


def earned_by_provider(spent: list[Spent]) -> Rows:
    rows = grouped((row for row in of_tenants(spent) if row.month == MAY), lambda row: row.provider)
    return [
        (p, cost(each), billed(each), total(row.billed_usd - row.cost_usd for row in each))
        for p, each in sorted(rows.items())
    ]


def reconciled(spent: list[Spent]) -> Rows:
    return [(len({(row.usage_date, row.provider) for row in spent}), 0, cost(spent))]


def dear_items(spent: list[Spent]) -> Rows:
    items = grouped((row for row in spent if row.month == JUNE), lambda row: (row.provider, row.line_item))
    found = [(*key, cost(rows)) for key, rows in items.items()]
    return sorted(found, key=lambda row: (-row[2], row[1]))[:10]


def nobodys_accounts(spent: list[Spent]) -> Rows:
    mine = (row for row in spent if row.tenant_id == "unallocated")
    found = [(*key, cost(rows)) for key, rows in grouped(mine, lambda row: (row.provider, row.account_id)).items()]
    return sorted(found, key=lambda row: (-row[2], row[1]))


def weeks(spent: list[Spent]) -> Rows:
    mine = (row for row in spent if row.tenant_id == BUSY)
    found = grouped(mine, lambda row: row.usage_date - timedelta(days=row.usage_date.weekday()))
    return [(week, billed(rows)) for week, rows in sorted(found.items())]


def growing(spent: list[Spent]) -> Rows:
    found = []
    for tenant, rows in sorted(grouped(of_tenants(spent), lambda row: row.tenant_id).items()):
        before, now = (billed(row for row in rows if row.month == m and row.usage_date.day <= 9) for m in (MAY, JUNE))
        if now > before:
            found.append((tenant, before, now))
    return found


def invoiced(_: list[Spent]) -> Rows:
    """As of the day of closing; each line is rounded half-up to cents, once."""
    lines = grouped(
        (row for row in of_tenants(spent_by(CLOSED_AT)) if row.month == MAY),
        lambda row: (row.tenant_id, row.provider, row.billed_account_id, row.line_item),
    )
    nets: dict[str, int] = defaultdict(int)
    for (tenant, *_), rows in lines.items():
        nets[tenant] += floor(sum((row.billed_usd for row in rows), Fraction(0)) * 100 + Fraction(1, 2))
    return [(tenant, "invoice", "USD", net, 1) for tenant, net in sorted(nets.items())]


def whole_key(row: Spent) -> tuple[str, date, str, str, str]:
    return row.provider, row.usage_date, row.account_id, row.api_key_id, row.line_item


def restated(spent: list[Spent]) -> Rows:
    then, now = (
        {k: sum((row.cost_usd for row in rows), Fraction(0)) for k, rows in grouped(each, whole_key).items()}
        for each in ([row for row in which if row.month == MAY] for which in (spent_by(CLOSED_AT), spent))
    )
    changed: dict[str, list[Fraction]] = defaultdict(list)
    for each in then.keys() | now.keys():
        if then.get(each) != now.get(each):
            changed[each[0]].append(now.get(each, Fraction(0)) - then.get(each, Fraction(0)))
    return [(provider, len(deltas), total(deltas)) for provider, deltas in sorted(changed.items())]


def unsettled(_: list[Spent]) -> Rows:
    """A day is final once it was read four days after its end."""
    first = (READ_AT - timedelta(days=4)).date()
    days = list(Window.of_days(first, LAST_DAY).days())
    return [(provider, provider, day, "provisional") for provider in ("openai", "openrouter") for day in days]


def dear_keys(spent: list[Spent]) -> Rows:
    mine = (row for row in spent if (row.tenant_id, row.month) == (BUSY, MAY))
    found = [(*key, billed(rows)) for key, rows in grouped(mine, lambda row: (row.provider, row.api_key_id)).items()]
    return sorted(found, key=lambda row: (-row[2], row[1]))[:5]


def tokens(_: list[Spent]) -> Rows:
    world, found = World(), defaultdict(lambda: [0, 0, 0])
    for day in Window.of_days(date(2026, 6, 1), LAST_DAY).days():
        for row in world.openai_completions(world.organizations[0].id, day, READ_AT):
            sums = found[row.model]
            sums[0] += row.input_text + row.input_audio + row.input_image + row.cached_text + row.cached_audio
            sums[0] += row.cache_write
            sums[1] += row.output_text + row.output_audio
            sums[2] += row.num_model_requests
    return [(model, *sums) for model, sums in sorted(found.items())]


ANSWERS: dict[int, Callable[[list[Spent]], Rows]] = {
    1: owed_by_tenant,
    2: earned_by_provider,
    3: reconciled,
    4: dear_items,
    5: nobodys_accounts,
    6: weeks,
    7: growing,
    8: invoiced,
    9: restated,
    10: unsettled,
    11: dear_keys,
    12: tokens,
}
NAMED = {5, 11}
"""Their third column is a name, for people."""


def test_there_are_twelve_questions_of_at_most_ten_lines() -> None:
    assert sorted(QUESTIONS) == sorted(QUERIES) == sorted(ANSWERS) == list(range(1, 13))
    assert all(question.endswith("?") for question in QUESTIONS.values())
    assert max(len(query.splitlines()) for query in QUERIES.values()) <= 10


@pytest.mark.parametrize("number", sorted(QUERIES))
def test_the_published_file_answers_as_the_world_does(ask: Ask, spent: list[Spent], number: int) -> None:
    answer = ask(QUERIES[number])
    if number in NAMED:
        assert any(name for _, _, name, *_ in answer)
        answer = [(*row[:2], *row[3:]) for row in answer]
    expected = ANSWERS[number](spent)
    assert answer
    assert answer == expected, QUESTIONS[number]


def test_closing_was_early_enough_to_have_something_restated(spent: list[Spent]) -> None:
    assert {provider for provider, *_ in restated(spent)} == {"openai", "openrouter"}
    assert CLOSED.window.last < LAST_DAY
