"""`summary`, `trend` and `breakdown`: the world's own figures, from the published file alone."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from reading.conftest import CLOSED, LAST_DAY, READ_AT, RUNNING, Spent, total
from tokenboard_etl.errors import WrongUse
from tokenboard_etl.periods import Window
from tokenboard_etl.reading.tenant_figures import DIMENSIONS, Amounts, breakdown, summary, trend

pytestmark = pytest.mark.slow

BUSY = "northwind-analytics"
MEANT_HARM = "1-1-formula-labs"
NOWHERE = Path("nowhere.duckdb")
TODAY = READ_AT.date()


def amounts_of(rows: list[Spent]) -> Amounts:
    cost, billed = total(row.cost_usd for row in rows), total(row.billed_usd for row in rows)
    margin = total([*(row.billed_usd for row in rows), *(-row.cost_usd for row in rows)])
    return Amounts(cost, billed, margin, Decimal(0))


# --- the figures


@pytest.mark.parametrize("month", [CLOSED, RUNNING])
def test_a_summary_is_what_the_world_spent_to_the_last_digit(published: Path, spent: list[Spent], month: Any) -> None:
    for tenant_id in sorted({row.tenant_id for row in spent}):
        rows = [row for row in spent if (row.tenant_id, row.month) == (tenant_id, str(month))]
        found = summary(published, NOWHERE, TODAY, tenant_id, str(month))
        assert found.total == amounts_of(rows)
        assert {each.provider: each.amounts for each in found.providers} == {
            provider: amounts_of([row for row in rows if row.provider == provider])
            for provider in {row.provider for row in rows}
        }


def test_a_summary_is_of_the_newest_month_and_names_state_and_invoice(published: Path) -> None:
    newest, closed = (summary(published, NOWHERE, TODAY, BUSY, month) for month in (None, str(CLOSED)))
    assert (newest.month, newest.last_day, newest.invoices) == (RUNNING, LAST_DAY, ())
    assert {each.state for each in newest.providers} == {"open"}
    assert {each.state for each in closed.providers} == {"closed"}
    assert [(each.kind, each.status, each.currency) for each in closed.invoices] == [("invoice", "issued", "USD")]


def test_a_budget_is_told_and_none_is_not_zero(copy: Path) -> None:
    assert summary(copy, NOWHERE, TODAY, BUSY, None).budget is None
    with duckdb.connect(copy) as connection:
        connection.execute(
            """
            INSERT INTO billing.budgets BY NAME SELECT '2026-06' AS month, $1 AS tenant_id, 100 AS budget_usd,
                60 AS spent_usd, 40 AS remaining_usd, 110 AS forecast_usd, 50 AS threshold_reached
            """,
            [BUSY],
        )
    budget = summary(copy, NOWHERE, TODAY, BUSY, None).budget
    assert budget is not None
    assert (budget.remaining_usd, budget.threshold_reached, budget.threshold_forecast) == (40, 50, None)


def test_today_is_unknown_until_it_was_read_and_where_a_price_is_missing(published: Path, tmp_path: Path) -> None:
    file = tmp_path / "intraday.duckdb"
    assert summary(published, file, TODAY, BUSY, None).today.estimated_billed_usd is None
    with duckdb.connect(file) as connection:
        connection.execute(
            """
            CREATE SCHEMA usage;
            CREATE TABLE usage.intraday AS
            SELECT DATE '2026-06-10' AS usage_date, TIMESTAMPTZ '2026-06-10 01:50:00+00' AS minute_at,
                'somebody' AS tenant_id, CAST(NULL AS DECIMAL(38, 24)) AS estimated_billed_usd
            UNION ALL SELECT '2026-06-10', TIMESTAMPTZ '2026-06-10 01:30:00+00', 'acme-b-robotics-b', 1.25
            UNION ALL SELECT '2026-06-09', TIMESTAMPTZ '2026-06-09 23:30:00+00', 'northwind-analytics', 7
            """
        )
    shown = {tenant: summary(published, file, TODAY, tenant, None).today for tenant in (BUSY, "acme-b-robotics-b")}
    assert shown[BUSY].estimated_billed_usd == 0
    assert shown["acme-b-robotics-b"].estimated_billed_usd == Decimal("1.25")
    assert shown[BUSY].as_of is not None
    assert f"{shown[BUSY].as_of:%H:%M}" == "01:50"
    with duckdb.connect(file) as connection:
        connection.execute("UPDATE usage.intraday SET tenant_id = 'northwind-analytics' WHERE tenant_id = 'somebody'")
    assert summary(published, file, TODAY, BUSY, None).today.estimated_billed_usd is None
    assert summary(published, file, TODAY + timedelta(days=1), BUSY, None).today.as_of is None


def test_a_trend_has_every_day_of_its_window_and_tells_zero_from_unknown(published: Path, spent: list[Spent]) -> None:
    window = Window(date(2026, 4, 28), date(2026, 6, 12))
    found = {day.usage_date: day for day in trend(published, "tailspin-toys", window)}
    assert list(found) == list(window.days())
    for day in window.days():
        rows = [row for row in spent if (row.usage_date, row.tenant_id) == (day, "tailspin-toys")]
        if CLOSED.first <= day <= LAST_DAY:
            assert found[day].amounts == amounts_of(rows)
        else:
            assert (found[day].amounts, found[day].state) == (None, "missing")
    assert found[date(2026, 5, 1)].state == "closed"
    assert found[LAST_DAY].state == "provisional"


def test_a_day_that_was_read_and_cost_nothing_is_zero(copy: Path) -> None:
    with duckdb.connect(copy) as connection:
        connection.execute("DELETE FROM billing.tenant_days WHERE tenant_id = $1 AND usage_date = $2", [BUSY, LAST_DAY])
    (day,) = trend(copy, BUSY, Window.of_days(LAST_DAY, LAST_DAY))
    assert (day.amounts, day.state) == (Amounts(*[Decimal(0)] * 4), "provisional")


def test_a_day_one_provider_was_not_read_of_is_unknown_of_it_and_known_of_the_other(copy: Path) -> None:
    with duckdb.connect(copy) as connection:
        of_the_day = f"usage_date = '{LAST_DAY}' AND provider = 'openrouter'"
        connection.execute(f"DELETE FROM billing.tenant_days WHERE {of_the_day}")
        connection.execute(f"UPDATE ops.source_days SET state = 'missing' WHERE {of_the_day}")
    (day,) = trend(copy, BUSY, Window.of_days(LAST_DAY, LAST_DAY))
    assert (day.state, day.billed_usd_by_provider["openrouter"]) == ("missing", None)
    assert day.amounts is not None
    assert day.billed_usd_by_provider["openai"] == day.amounts.billed_usd > 0


def test_a_trend_without_a_window_is_of_the_last_thirty_days(published: Path) -> None:
    days = [day.usage_date for day in trend(published, BUSY, None)]
    assert (len(days), days[-1]) == (30, LAST_DAY)


@pytest.mark.parametrize("by", [each for each in DIMENSIONS if each != "job"])
def test_the_parts_of_a_breakdown_are_the_worlds_and_add_up_to_the_month(
    published: Path, spent: list[Spent], by: Any
) -> None:
    column = {"project": "account_id", "api_key": "api_key_id"}.get(by, by if by in ("line_item", "category") else None)
    for tenant_id in (BUSY, MEANT_HARM, "unallocated"):
        rows = [row for row in spent if (row.tenant_id, row.month) == (tenant_id, str(CLOSED))]
        found = breakdown(published, tenant_id, str(CLOSED), by)
        assert found.total == amounts_of(rows)
        amounts = [(part.amounts.billed_usd, part.amounts.cost_usd) for part in found.parts]
        assert amounts == sorted(amounts, reverse=True)
        if column:
            expected: dict[tuple[str | None, str], list[Spent]] = defaultdict(list)
            for row in rows:
                whose = None if by == "category" else row.provider
                expected[whose, getattr(row, column)].append(row)
            assert {(part.provider, part.key): part.amounts for part in found.parts} == {
                key: amounts_of(each) for key, each in expected.items()
            }


def test_accounts_have_the_names_their_owners_gave_them(published: Path) -> None:
    parts = breakdown(published, MEANT_HARM, str(CLOSED), "project").parts
    names = [part.name for part in parts]
    assert "=1+1 Formula Labs" in names
    assert all(names)


def test_jobs_come_from_their_table_or_are_refused(copy: Path) -> None:
    with duckdb.connect(copy) as connection:
        connection.execute("DROP TABLE IF EXISTS billing.job_costs")
    with pytest.raises(WrongUse, match="no costs by job"):
        breakdown(copy, BUSY, str(CLOSED), "job")
    with duckdb.connect(copy) as connection:
        connection.execute(
            """
            CREATE TABLE billing.job_costs AS
            SELECT '2026-05' AS month, 'northwind-analytics' AS tenant_id, 'job-1' AS job_id, 'operations' AS part,
                'Baker' AS job_title, 1.5 AS total_cost_usd, 2.25 AS total_billed_usd
            UNION ALL SELECT '2026-05', 'northwind-analytics', '', 'rest', NULL, 3, 4
            UNION ALL SELECT '2026-05', 'acme-b-robotics-b', 'job-2', 'operations', 'Welder', 5, 6
            """
        )
    found = breakdown(copy, BUSY, str(CLOSED), "job")
    assert [(part.key, part.name, part.amounts.billed_usd) for part in found.parts] == [
        ("", "what no operation explains", Decimal(4)),
        ("job-1", "Baker", Decimal("2.25")),
    ]
    assert found.total.margin_usd == Decimal("1.75")
