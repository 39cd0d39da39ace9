"""Whatever a tenant is handed holds its own data and nobody else's, and tells nothing of cost or margin (R43).

What lies in reports/<month>/<tenant_id>/ is meant for the tenant: a new kind of page is covered by being there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from html.parser import HTMLParser
from itertools import permutations
from math import ceil, floor
from pathlib import Path
from typing import Any

import duckdb
import pytest

from reading.conftest import (
    AFTER,
    BEFORE,
    CLOSED_AT,
    GUEST,
    HOST,
    MULTIPLIERS,
    Ask,
    Spent,
    guest_key,
    project_of,
    spent_by,
)
from tokenboard_etl.providers.sandbox.world import World
from tokenboard_etl.reading.tenant_export import export_tenant

pytestmark = pytest.mark.slow

TENANTS = {tenant.tenant_id: tenant for tenant in World().tenants}
TELLING_CENTS, TELLING_USD = 100_00, 10
"""On pages and in exact figures; what is less is the same for two tenants by chance."""


class Words(HTMLParser):
    """All a page says, its attributes included, and not how it looks."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self.in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.in_style = tag == "style"
        self.said += [value for name, value in attrs if value and name not in ("class", "style")]

    def handle_endtag(self, tag: str) -> None:
        self.in_style = self.in_style and tag != "style"

    def handle_data(self, data: str) -> None:
        if not self.in_style:
            self.said.append(data)


@dataclass(frozen=True)
class Papers:
    """All a tenant is handed: every word, the amounts on its pages in cents, and the exact ones of its export.

    `raw` is the export as it lies on disk.
    """

    text: str
    raw: bytes
    cents: frozenset[int]
    exact: frozenset[Fraction]


def said_in(page: Path) -> str:
    words = Words()
    words.feed(page.read_text())
    return "\n".join(words.said)


def values_of(parquet: Path) -> Iterator[Any]:
    with duckdb.connect() as connection:
        relation = connection.sql("SELECT * FROM read_parquet($path)", params={"path": str(parquet)})
        yield from relation.columns
        yield from (value for row in relation.fetchall() for value in row)


def cents_in(text: str) -> frozenset[int]:
    """Every amount of dollars or euros in a text, whatever its country separates thousands with."""
    found = re.findall(r"\d[\d.,\u2019\u202f\xa0]*[.,]\d\d(?!\d)", text)
    return frozenset(int(re.sub(r"\D", "", each)) for each in found)


@pytest.fixture(scope="module")
def papers(world_home: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Papers]:
    folder = tmp_path_factory.mktemp("exports")
    found = {}
    for tenant_id in TENANTS:
        export_tenant(world_home / "published" / "tokenboard.duckdb", tenant_id, folder)
        pages = [said_in(page) for page in sorted((world_home / "reports").glob(f"*/{tenant_id}/*.html"))]
        assert pages
        parquet = sorted((folder / f"tenant-{tenant_id}").glob("*.parquet"))
        export = [value for path in parquet for value in values_of(path)]
        sql = (folder / f"tenant-{tenant_id}" / "check.sql").read_text()
        found[tenant_id] = Papers(
            "\n".join([*pages, sql, *map(str, export)]),
            b"".join(path.read_bytes() for path in parquet),
            cents_in("\n".join(pages)),
            frozenset(Fraction(value) for value in export if isinstance(value, Decimal)),
        )
    return found


def sums(rows: Iterable[Spent], *, billed: bool) -> set[Fraction]:
    """What a month, a day, a provider, an account and an item of it come to, and a category of a month, exactly."""
    found: dict[tuple[str, ...], Fraction] = {}
    for row in rows:
        month, day, whose = row.month, str(row.usage_date), (row.provider, row.billed_account_id)
        parts = ((), (row.provider,), whose, (row.line_item,), (*whose, row.line_item))
        for key in (*((since, *part) for since in (month, day) for part in parts), (month, row.category)):
            found[key] = found.get(key, Fraction(0)) + (row.billed_usd if billed else row.cost_usd)
    return {amount for amount in found.values() if amount >= TELLING_USD}


@dataclass(frozen=True)
class Figures:
    """What a tenant was billed by now and when May was closed, and our cost and margin of it (`secret`)."""

    billed: set[Fraction]
    secret: set[Fraction]


def cents(amounts: set[Fraction]) -> set[int]:
    """As they may be printed: a part of a rounded sum is the cent below it or the one above."""
    printed = {whole for each in amounts for whole in (floor(each * 100), ceil(each * 100))}
    return {each for each in printed if each >= TELLING_CENTS}


@pytest.fixture(scope="module")
def figures(spent: list[Spent]) -> dict[str, Figures]:
    found = {}
    for tenant_id in TENANTS:
        pasts = [[row for row in past if row.tenant_id == tenant_id] for past in (spent, spent_by(CLOSED_AT))]
        billed = {amount for past in pasts for amount in sums(past, billed=True)}
        cost = {amount for past in pasts for amount in sums(past, billed=False)}
        margin = {amount * (rate - 1) for amount in cost for rate in MULTIPLIERS.values()}
        found[tenant_id] = Figures(billed, (cost | margin) - billed)
    return found


def test_amounts_are_read_as_they_are_written(papers: dict[str, Papers], ask: Ask) -> None:
    """So that not finding somebody else's means something."""
    assert cents_in("-1.234,56\xa0\u20ac $7.89 1\u202f000,00 12 3.5 0.125") == {123456, 789, 100000}
    for tenant_id, total_minor in ask("SELECT tenant_id, total_minor FROM billing.invoices"):
        assert total_minor in papers[tenant_id].cents


def ids_of(spent: list[Spent], tenant_id: str) -> set[str]:
    """What a tenant has spent on, as far as it is its own."""
    mine = [row for row in spent if row.tenant_id == tenant_id]
    return {each for row in mine for each in (row.billed_account_id, row.api_key_id)} - {""}


def test_the_world_has_a_key_in_a_foreign_project_and_an_account_that_moved(
    papers: dict[str, Papers], spent: list[Spent]
) -> None:
    assert guest_key() in papers[GUEST].text
    assert project_of(HOST) in ids_of(spent, HOST) - ids_of(spent, GUEST)
    assert project_of(BEFORE) in ids_of(spent, BEFORE) & ids_of(spent, AFTER)
    assert all(project_of(BEFORE) in papers[tenant_id].text for tenant_id in (BEFORE, AFTER))


@pytest.mark.parametrize(("mine", "others"), list(permutations(TENANTS, 2)))
def test_no_name_and_no_figure_of_another_tenant_is_in_it(
    papers: dict[str, Papers], figures: dict[str, Figures], spent: list[Spent], ask: Ask, mine: str, others: str
) -> None:
    other, theirs = TENANTS[others], figures[others]
    accounts = {project for projects in other.openai_projects.values() for project in projects} | {
        *other.openrouter_keys
    }
    accounts |= ids_of(spent, others)
    words = {others, other.name, other.billing_email, *(accounts - ids_of(spent, mine))}
    words |= {number for (number,) in ask("SELECT invoice_number FROM billing.invoices WHERE tenant_id = $1", others)}
    assert [word for word in words if word in papers[mine].text or word.encode() in papers[mine].raw] == []
    telling = theirs.billed - figures[mine].billed
    assert telling
    assert telling & papers[mine].exact == set()
    assert (cents(theirs.billed) - cents(figures[mine].billed)) & papers[mine].cents == set()


@pytest.mark.parametrize("tenant_id", TENANTS)
def test_neither_cost_nor_margin_is_in_it(
    papers: dict[str, Papers], figures: dict[str, Figures], tenant_id: str
) -> None:
    mine, known = papers[tenant_id], figures[tenant_id]
    assert known.secret
    assert known.secret & mine.exact == set()
    assert (cents(known.secret) - cents(known.billed)) & mine.cents == set()
    assert re.findall(r"cost_usd|margin|markup|multiplier|\bcost\b", mine.text, re.IGNORECASE) == []


@pytest.mark.parametrize("tenant_id", TENANTS)
def test_nobody_of_ours_and_nothing_that_tenants_share_is_in_it(papers: dict[str, Papers], tenant_id: str) -> None:
    """Members of the organization, who own keys; the organization, the workspaces of OpenRouter."""
    world = World()
    ours = {word for each in world.organizations for person in each.people for word in (person.id, person.email)}
    ours |= {org.id for org in world.organizations} | {org.name for org in world.organizations}
    ours |= {workspace.id for workspace in world.account.workspaces}
    assert [word for word in ours if word in papers[tenant_id].text or word.encode() in papers[tenant_id].raw] == []
