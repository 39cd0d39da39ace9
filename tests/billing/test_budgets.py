"""Budgets, forecasts and margins in SQL against the same rules in fractions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import duckdb
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from examples import examples
from tokenboard_etl.billing.policy_file import parse_policy
from tokenboard_etl.billing.policy_versions import record_policy
from tokenboard_etl.tenants.registry import Tenant, save_tenant
from tokenboard_etl.warehouse.checks import all_checks, run_checks
from tokenboard_etl.warehouse.connection import configure
from tokenboard_etl.warehouse.migrations import migrate
from tokenboard_etl.warehouse.models import build_models, build_table
from tokenboard_etl.warehouse.sql_files import read_sql

TODAY = date(2026, 7, 20)
NOW = datetime(2026, 7, 20, 2, 0, tzinfo=UTC)
YESTERDAY = TODAY - timedelta(days=1)
JULY_LEFT = [date(2026, 7, day) for day in range(20, 32)]
RULES = b"""
margin_alarm_percent: 20
budgets:
  - {id: everybody, usd: 1000, from: 2026-01-01}
  - {id: acme-last-of-may, tenant: acme, usd: 70, from: 2026-05-31, until: 2026-06-01}
  - {id: acme-june, tenant: acme, usd: 50, thresholds: [10, 90], from: 2026-06-01, until: 2026-07-01}
  - {id: acme-late, tenant: acme, usd: 200, from: 2026-07-15}
"""


@pytest.fixture(scope="module")
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    configure(connection)
    migrate(connection)
    save_tenant(connection, Tenant("acme", "Acme", None, "DE", "USD", None), {}, NOW)
    record_policy(connection, parse_policy(RULES, "policy.yaml"), NOW)
    build_models(connection, NOW, settle_days=4)
    yield connection
    connection.close()


def spend(
    connection: duckdb.DuckDBPyConnection, days: dict[date, Decimal], *, estimated: frozenset[date] = frozenset()
) -> dict[str, dict[str, object]]:
    """Writes what acme was billed on each day and builds the budgets from it; returns them by month."""
    connection.execute("DELETE FROM billing.tenant_days")
    for day, usd in days.items():
        figures = (Decimal(0), usd) if day in estimated else (usd, Decimal(0))
        connection.execute(
            """
            INSERT INTO billing.tenant_days BY NAME
            SELECT 'acme' AS tenant_id, 'openai' AS provider, $1 AS usage_date, 0 AS cost_usd, $2 AS billed_usd,
                $2 AS margin_usd, 0 AS estimated_cost_usd, $3 AS estimated_billed_usd
            """,
            [day, *figures],
        )
    build_table(connection, "billing.budgets")
    result = connection.execute("SELECT * FROM billing.budgets ORDER BY month")
    names = [column[0] for column in result.description]
    return {row[0]: dict(zip(names, row, strict=True)) for row in result.fetchall()}


def expected_forecast(days: dict[date, Decimal]) -> Fraction:
    """The rule in prose, in fractions: the line through two fortnights, shared out by weekday."""
    spent = sum((Fraction(usd) for day, usd in days.items() if day >= date(2026, 7, 1)), Fraction(0))
    seen = {day: Fraction(usd) for day, usd in days.items() if day > YESTERDAY - timedelta(days=28)}
    total = sum(seen.values(), Fraction(0))
    if total <= 0:
        return spent
    if (YESTERDAY - min(seen)).days + 1 < 21:
        return spent + len(JULY_LEFT) * total / ((YESTERDAY - min(seen)).days + 1)
    newer = sum((usd for day, usd in seen.items() if day > YESTERDAY - timedelta(days=14)), Fraction(0)) / 14
    older = (total - newer * 14) / 14
    result = spent
    for day in JULY_LEFT:
        # The means stand at the middles of their fortnights, 6.5 and 20.5 days before the last one.
        line = newer + (newer - older) / 14 * (Fraction((day - YESTERDAY).days) + Fraction(13, 2))
        level = max(Fraction(0), min(2 * newer, line))
        same_weekday = sum((usd for each, usd in seen.items() if each.weekday() == day.weekday()), Fraction(0))
        result += level * 7 * same_weekday / total
    return result


SPENT = st.dictionaries(
    st.integers(0, 45).map(lambda back: YESTERDAY - timedelta(days=back)),
    st.decimals(0, 5000, places=6, allow_nan=False, allow_infinity=False),
    max_size=46,
)
STEADY = {YESTERDAY - timedelta(days=back): Decimal(10) for back in range(45)}


@example(STEADY)
@example({day: usd for day, usd in STEADY.items() if day > YESTERDAY - timedelta(days=5)})
@example({day: Decimal(day.day) for day in STEADY})
@given(SPENT)
@settings(max_examples=examples(50), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_forecast_is_the_line_through_two_fortnights_by_weekday(
    warehouse: duckdb.DuckDBPyConnection, days: dict[date, Decimal]
) -> None:
    days = {**days, YESTERDAY: days.get(YESTERDAY, Decimal(0))}  # what fixes the last day that was read
    july = spend(warehouse, days)["2026-07"]
    forecast = july["forecast_usd"]
    assert isinstance(forecast, Decimal)
    assert abs(Fraction(forecast) - expected_forecast(days)) <= Fraction(1, 1000)
    spent = sum((usd for day, usd in days.items() if day >= date(2026, 7, 1)), Decimal(0))
    assert july["spent_usd"] == spent
    assert july["remaining_usd"] == 200 - spent
    reached = [percent for percent in (50, 80, 100) if spent * 100 >= 200 * percent]
    assert july["threshold_reached"] == (max(reached) if reached else None)


def test_steady_spend_is_forecast_to_go_on(warehouse: duckdb.DuckDBPyConnection) -> None:
    july = spend(warehouse, STEADY)["2026-07"]
    assert (july["spent_usd"], july["forecast_usd"]) == (190, 310)
    assert (july["threshold_reached"], july["threshold_forecast"]) == (80, 100)


def test_estimated_days_are_spent_too_and_said_to_be_estimates(warehouse: duckdb.DuckDBPyConnection) -> None:
    july = spend(warehouse, STEADY, estimated=frozenset({YESTERDAY}))["2026-07"]
    assert (july["spent_usd"], july["estimated_usd"], july["forecast_usd"]) == (190, 10, 310)


def test_a_month_that_is_over_is_what_it_came_to_under_the_rule_of_its_last_day(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    months = spend(
        warehouse, {date(2026, 6, 10): Decimal(5), date(2026, 5, 31): Decimal(7), date(2026, 4, 1): Decimal(1)}
    )
    june, may = months["2026-06"], months["2026-05"]
    assert (june["budget_rule_id"], june["forecast_usd"], june["threshold_reached"]) == ("acme-june", 5, 10)
    assert (may["budget_rule_id"], may["budget_usd"]) == ("acme-last-of-may", 70)
    assert months["2026-04"]["budget_rule_id"] == "everybody"
    assert months["2026-07"]["budget_rule_id"] == "acme-late"


def test_a_tenant_without_any_spend_has_a_budget_and_nothing_spent(warehouse: duckdb.DuckDBPyConnection) -> None:
    (july,) = spend(warehouse, {}).values()
    assert (july["spent_usd"], july["forecast_usd"], july["threshold_reached"]) == (0, 0, None)


def findings(connection: duckdb.DuckDBPyConnection, name: str) -> tuple[int, str]:
    (check,) = (check for check in all_checks() if check.name == name)
    (finding,) = run_checks(connection, [check])
    return finding.violations, check.severity


@pytest.mark.parametrize(
    ("spent", "warned", "alarmed"), [("60", 0, 0), ("62", 1, 0), ("199.99", 1, 0), ("200", 0, 1), ("300", 0, 1)]
)
def test_thresholds_warn_and_a_spent_budget_alarms(
    warehouse: duckdb.DuckDBPyConnection, spent: str, warned: int, alarmed: int
) -> None:
    """The budget is 200, its first threshold 50 percent. With 19 days over, 62 will be more than 100, 60 will not."""
    spend(
        warehouse,
        {date(2026, 7, day): (Decimal(spent) / 19).quantize(Decimal("1E-24")) for day in range(1, 19)}
        | {YESTERDAY: left(spent)},
    )
    assert findings(warehouse, "budgets_reach_no_threshold") == (warned, "warning")
    assert findings(warehouse, "budgets_are_kept") == (alarmed, "alarm")


@pytest.mark.parametrize(("spent", "reached", "alarmed"), [("0", None, 0), ("-1", None, 0), ("0.000001", 100, 1)])
def test_a_budget_of_nothing_is_spent_by_the_first_cent(
    warehouse: duckdb.DuckDBPyConnection, spent: str, reached: int | None, alarmed: int
) -> None:
    rules = RULES + b"  - {id: acme-none, tenant: acme, usd: 0, from: 2026-07-16, until: 2027-01-01}\n"
    nothing = rules.replace(b"from: 2026-07-15", b"from: 2026-07-15, until: 2026-07-16")
    record_policy(warehouse, parse_policy(nothing, "policy.yaml"), NOW)
    july = spend(warehouse, {date(2026, 7, 1): Decimal(spent), YESTERDAY: Decimal(0)})["2026-07"]
    assert (july["budget_usd"], july["threshold_reached"], july["threshold_forecast"]) == (0, reached, reached)
    assert findings(warehouse, "budgets_are_kept") == (alarmed, "alarm")
    record_policy(warehouse, parse_policy(RULES, "policy.yaml"), NOW)


def left(spent: str) -> Decimal:
    """What 18 days at a nineteenth leave for the last one."""
    return Decimal(spent) - 18 * (Decimal(spent) / 19).quantize(Decimal("1E-24"))


@pytest.mark.parametrize(
    ("billed", "low", "share"), [("12.5", 0, "20.00"), ("12.499999", 1, "19.99"), ("9", 1, "-11.11")]
)
def test_a_margin_below_the_policys_alarm_is_told(
    warehouse: duckdb.DuckDBPyConnection, billed: str, low: int, share: str
) -> None:
    warehouse.execute("DELETE FROM billing.tenant_months")
    warehouse.execute(
        """
        INSERT INTO billing.tenant_months BY NAME
        SELECT '2026-07' AS month, 'acme' AS tenant_id, 'openai' AS provider, 10 AS cost_usd,
            CAST($1 AS DECIMAL(38, 24)) AS billed_usd, CAST($1 AS DECIMAL(38, 24)) - 10 AS margin_usd, 'open' AS state
        """,
        [billed],
    )
    warehouse.execute("DELETE FROM billing.gross_margins")
    warehouse.execute(f"INSERT INTO billing.gross_margins BY NAME {read_sql('billing.gross_margins').query}")
    assert warehouse.execute("SELECT margin_percent FROM billing.gross_margins").fetchall() == [(Decimal(share),)]
    assert findings(warehouse, "gross_margins_are_high_enough") == (low, "alarm")


# --- limits at the providers ----------------------------------------------------------------------------------------

PUSHED = """
margins:
  - {id: all, multiplier: 1.5, from: 2026-01-01}
  - {id: images, tenant: acme, provider: openai, model: "gpt-image-*", multiplier: 3, from: 2026-01-01}
  - {id: over, tenant: acme, line_item: "web*", multiplier: 9, from: 2026-08-01}
  - {id: router, tenant: acme, provider: openrouter, multiplier: 1.4, from: 2026-01-01}
  - {id: shadowed, provider: openrouter, multiplier: 8, from: 2026-01-01}
budgets:
  - {id: acme, tenant: acme, usd: 100, push: true, from: 2026-01-01}
"""


def bind(connection: duckdb.DuckDBPyConnection, provider: str, kind: str, account_id: str) -> None:
    connection.execute(
        "INSERT INTO registry.accounts VALUES ('acme', $1, $2, $3, '2026-01-01', NULL, $4)",
        [provider, kind, account_id, NOW],
    )


def limits(connection: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], tuple[Decimal | None, str]]:
    build_models(connection, NOW, settle_days=4)
    rows = connection.execute("SELECT provider, account_id, wanted_usd, state FROM billing.budget_limits").fetchall()
    return {(provider, account): (wanted, state) for provider, account, wanted, state in rows}


def list_accounts(connection: duckdb.DuckDBPyConnection, cents: int | None, key_limit: str | None, reset: str) -> None:
    """What a night reads of the project p1 and the key k1."""
    connection.execute("DELETE FROM raw.openai_projects; DELETE FROM raw.openai_spend_limits")
    connection.execute("DELETE FROM raw.openrouter_keys")
    connection.execute(
        """
        INSERT INTO raw.openai_projects BY NAME
        SELECT 'openai' AS connection_id, 'l' AS load_id, $1 AS snapshot_date, 'p1' AS project_id, 'Acme' AS name,
            CAST('2026-01-01' AS TIMESTAMPTZ) AS created_at
        """,
        [TODAY],
    )
    connection.execute(
        """
        INSERT INTO raw.openai_spend_limits BY NAME
        SELECT 'openai' AS connection_id, 'l' AS load_id, $1 AS snapshot_date, 'p1' AS project_id, $2 AS limit_cents,
            CASE WHEN $2 IS NOT NULL THEN 'month' END AS "interval"
        """,
        [TODAY, cents],
    )
    connection.execute(
        """
        INSERT INTO raw.openrouter_keys BY NAME
        SELECT 'openrouter' AS connection_id, 'l' AS load_id, $1 AS snapshot_date, 'k1' AS key_hash, 'Acme' AS name,
            false AS disabled, CAST($2 AS DECIMAL(38, 18)) AS limit_usd, $3 AS limit_reset, '' AS label,
            0 AS usage_usd, 0 AS byok_usage_usd, '2026-01-01T00:00:00Z' AS created_at
        """,
        [TODAY, key_limit, reset],
    )


def test_a_pushed_budget_is_a_limit_in_cost_that_spend_under_it_keeps_the_budget() -> None:
    with duckdb.connect() as connection:
        configure(connection)
        migrate(connection)
        save_tenant(connection, Tenant("acme", "Acme", None, "DE", "USD", None), {}, NOW)
        record_policy(connection, parse_policy(PUSHED.encode(), "policy.yaml"), NOW)
        bind(connection, "openai", "project", "p1")
        bind(connection, "openrouter", "key", "k1")
        # Images cost the most at OpenAI, three times: 33.33. At OpenRouter acme's own rule hides the one for all.
        assert limits(connection) == {
            ("openai", "p1"): (Decimal("33.33"), "not read"),
            ("openrouter", "k1"): (Decimal("71.42"), "not read"),
        }
        list_accounts(connection, None, "71.42", "monthly")
        found = limits(connection)
        assert {account: state for account, (_, state) in found.items()} == {
            ("openai", "p1"): "not set",
            ("openrouter", "k1"): "in force",
        }
        assert findings(connection, "pushed_budgets_are_in_force") == (1, "warning")
        list_accounts(connection, 3333, "71.42", "weekly")
        assert {account: state for account, (_, state) in limits(connection).items()} == {
            ("openai", "p1"): "in force",
            ("openrouter", "k1"): "differs",
        }
        bind(connection, "openrouter", "key", "k2")
        assert limits(connection)["openrouter", "k1"] == (None, "several accounts")
