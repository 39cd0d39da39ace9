"""The world: deterministic, populated as promised, restated as real days are."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from tokenboard_etl.providers.sandbox.amounts import exact_sum
from tokenboard_etl.providers.sandbox.router_spend import total_of
from tokenboard_etl.providers.sandbox.tenants import tenant_id_of
from tokenboard_etl.providers.sandbox.world import World

DAY = date(2026, 11, 4)
END = datetime(2026, 11, 5, tzinfo=UTC)
HOURS = [timedelta(hours=n) for n in (-12, -1, 0, 2, 12, 30, 47, 59, 72, 95, 96)]


@pytest.fixture(scope="module")
def world() -> World:
    return World(seed=1)


@pytest.fixture(scope="module")
def org(world: World) -> str:
    return world.organizations[0].id


def test_equal_seeds_give_equal_rows_in_any_order(org: str) -> None:
    one, two = World(seed=1), World(seed=1)
    days = [DAY - timedelta(days=n) for n in range(5)]
    first = [one.openai_costs(org, day, END) for day in days]
    second = [two.openai_costs(org, day, END) for day in reversed(days)]
    assert first == second[::-1]
    assert one.openrouter_spend(DAY, END) == two.openrouter_spend(DAY, END)
    assert World(seed=2).organizations[0].id != org


@pytest.mark.parametrize("day", [date(2024, 1, 1), date(2025, 6, 3), DAY])
def test_every_day_since_2024_has_data(world: World, org: str, day: date) -> None:
    assert 100 < len(world.openai_costs(org, day, END)) < 320
    assert 80 < len(world.openai_completions(org, day, END)) < 220
    assert 100 < len(world.openrouter_spend(day, END)) < 260


def test_scale_multiplies_rows(world: World, org: str) -> None:
    larger = World(seed=1, scale=3)
    assert larger.organizations[0].id == org
    assert len(larger.openai_costs(org, DAY, END)) > 2 * len(world.openai_costs(org, DAY, END))
    assert len(larger.openrouter_spend(DAY, END)) > 2 * len(world.openrouter_spend(DAY, END))


def test_tenants_grow(world: World, org: str) -> None:
    def month(year: int) -> Decimal:
        days = [date(year, 9, n) for n in range(1, 31)]
        return exact_sum(row.amount_usd for day in days for row in world.openai_costs(org, day, END))

    assert month(2024) < month(2025) < month(2026)


def test_openai_days_arrive_late_and_settle_after_four_days(world: World, org: str) -> None:
    totals = [exact_sum(row.amount_usd for row in world.openai_costs(org, DAY, END + age)) for age in HOURS]
    assert totals[0] > 0
    assert totals == sorted(totals)
    share = totals[3] / totals[-1]
    assert Decimal("0.7") < share < Decimal("0.9")
    final = world.openai_costs(org, DAY, END + timedelta(hours=96))
    assert final == world.openai_costs(org, DAY, END + timedelta(days=300))
    assert world.openai_costs(org, DAY, END + timedelta(hours=39)) != final


def test_no_row_of_a_day_before_it_begins(world: World, org: str) -> None:
    before = END - timedelta(days=1, minutes=1)
    assert world.openai_costs(org, DAY, before) == []
    assert world.openai_completions(org, DAY, before) == []
    assert world.openrouter_spend(DAY, before) == []


def test_one_project_day_a_month_is_restated_to_zero(world: World, org: str) -> None:
    day = date(2026, 11, 12)
    project = world.restated_to_zero(org, day)
    assert project is not None
    assert world.restated_to_zero(org, DAY) is None
    end = datetime(2026, 11, 13, tzinfo=UTC)
    early = [r for r in world.openai_costs(org, day, end + timedelta(hours=59)) if r.project_id == project]
    late = [r for r in world.openai_costs(org, day, end + timedelta(hours=60)) if r.project_id == project]
    assert exact_sum(row.amount_usd for row in early) > 0
    assert late
    assert all(row.amount_usd == 0 and row.quantity for row in late)


def test_about_one_day_a_month_loses_a_row(world: World, org: str) -> None:
    days = [date(2026, 1, 1) + timedelta(days=n) for n in range(300)]
    losing = [day for day in days if world.vanishing_row(org, day)]
    assert 4 <= len(losing) <= 20
    for day in losing[:3]:
        end = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)

        def keys(hours: int, day: date = day, end: datetime = end) -> set[tuple[str | None, str, str | None]]:
            rows = world.openai_costs(org, day, end + timedelta(hours=hours))
            return {(row.project_id, row.line_item, row.api_key_id) for row in rows}

        assert keys(47) - keys(96) == {world.vanishing_row(org, day)}


def test_openrouter_days_only_grow_and_settle_after_two(world: World) -> None:
    totals = [total_of(world.openrouter_spend(DAY, END + age)).usage_usd for age in HOURS]
    assert totals == sorted(totals)
    assert totals[3] < totals[-1]
    assert world.openrouter_spend(DAY, END + timedelta(hours=48)) == world.openrouter_spend(DAY, END + HOURS[-1])


def test_archived_and_disabled_things_stop_spending(world: World) -> None:
    project = next(p for p in world.organizations[0].projects if p.archived_on)
    assert project.archived_on is not None
    org, last = project.org_id, project.archived_on - timedelta(days=1)
    assert project.id in {row.project_id for row in world.openai_costs(org, last, END)}
    assert project.id not in {row.project_id for row in world.openai_costs(org, project.archived_on, END)}
    disabled = {key.hash for key in world.account.keys if key.disabled_on}
    assert disabled & {row.key_hash for row in world.openrouter_spend(date(2025, 12, 1), END)}
    assert not disabled & {row.key_hash for row in world.openrouter_spend(DAY, END)}


def test_the_registry_file_has_one_account_a_row(world: World) -> None:
    rows = list(csv.DictReader(io.StringIO(world.tenants_csv())))
    assert {row["tenant_id"] for row in rows} == {tenant.tenant_id for tenant in world.tenants}
    assert all(bool(row["openai_project_id"]) != bool(row["openrouter_key_hash"]) for row in rows)
    assert {row["valid_from"] for row in rows} == {"2024-01-01"}
    accounts = [row["openai_project_id"] or row["openrouter_key_hash"] for row in rows]
    assert len(accounts) == len(set(accounts))
    first = world.organizations[0]
    bound = {project.id for project in first.projects} & set(accounts)
    assert [p.name for p in first.projects if p.id not in bound] == [
        "Default project",
        "research <script>alert(1)</script>",
    ]
    assert any(key.hash not in accounts for key in world.account.keys)


def test_tenant_ids() -> None:
    assert tenant_id_of("Acme <b>Robotics</b>") == "acme-b-robotics-b"
    assert tenant_id_of("=1+1 Formula Labs") == "1-1-formula-labs"
    assert tenant_id_of("x" * 60) == "x" * 48
    assert re.fullmatch(r"tenant-[0-9a-f]{8}", tenant_id_of("株式会社さくら"))
