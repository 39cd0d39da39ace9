"""Which rule prices what: SQL against the prose of the rule, and closed months against a changing policy."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from examples import examples
from tokenboard_etl.billing.issue import close_month
from tokenboard_etl.billing.margins import record_default_margins
from tokenboard_etl.billing.policy_file import PolicyFile, parse_policy
from tokenboard_etl.billing.policy_versions import policy_in_use, record_policy, sha256_in_use
from tokenboard_etl.errors import CheckFailed, PolicyError
from tokenboard_etl.periods import Month
from tokenboard_etl.rendering.invoices import render_invoice
from tokenboard_etl.tenants.registry import Tenant, save_tenant
from tokenboard_etl.warehouse.checks import all_checks, refuse_violations, run_checks
from tokenboard_etl.warehouse.connection import configure, open_warehouse
from tokenboard_etl.warehouse.loads import mark_months
from tokenboard_etl.warehouse.migrations import migrate
from tokenboard_etl.warehouse.models import ROWS_AT_ONCE, build_models, build_within
from tokenboard_etl.warehouse.sql_files import SQL_ROOT, models_in_order, read_sql

NOW = datetime(2026, 7, 20, 2, 0, tzinfo=UTC)
MAY, JUNE = Month(2026, 5), Month(2026, 6)
FIRST = date(2026, 5, 30)
DAYS = [FIRST + timedelta(days=n) for n in range(5)]
"""Two days of May and three of June."""

TENANTS = ("acme", "acme-labs", "beta_100%")
ITEMS = ("gpt-4o-mini-2024-07-18, input", "gpt-4o-2024-08-06, output", "web search tool calls", "a!b_c%d", "")
SLUGS = ("openai/gpt-4o", "x-ai/grok_4")
DEFAULTS = {"openai": Decimal("1.250000"), "openrouter": Decimal("1.300000")}


def plant(connection: duckdb.DuckDBPyConnection) -> None:
    """Cost of every tenant on every day for every item, one dollar each, of both providers."""
    connection.execute(
        """
        INSERT INTO ops.loads
        SELECT report, provider, provider, report, DATE '2026-05-01', DATE '2026-07-01', $1, $1, 1, 1, 1, 'x', 0,
            'loaded', NULL, NULL, NULL, NULL
        FROM (VALUES ('openai', 'costs'), ('openai', 'costs_total'), ('openrouter', 'analytics'),
            ('openrouter', 'analytics_total')) AS known(provider, report)
        """,
        [NOW],
    )
    connection.execute(
        """
        INSERT INTO ops.load_days
        SELECT load_id, connection_id, provider, report, unnest($1::DATE[]), started_at, finished_at, 1, 1
        FROM ops.loads
        """,
        [[MAY.first + timedelta(days=n) for n in range(61)]],
    )
    for tenant in TENANTS:
        save_tenant(connection, Tenant(tenant, tenant, None, "DE", "USD", None), {}, NOW)
        for provider, kind in (("openai", "project"), ("openrouter", "key")):
            connection.execute(
                "INSERT INTO registry.accounts VALUES ($1, $2, $3, $1, '2026-01-01', NULL, $4)",
                [tenant, provider, kind, NOW],
            )
    connection.execute(
        """
        INSERT INTO raw.openai_costs
        SELECT 'openai', 'costs', day, project, item, '', 1, NULL, NULL, 1
        FROM (SELECT unnest($days::DATE[]) AS day), (SELECT unnest($projects::VARCHAR[]) AS project),
            (SELECT unnest($items::VARCHAR[]) AS item)
        """,
        {"days": DAYS, "projects": [*TENANTS, "nobodys"], "items": list(ITEMS)},
    )
    connection.execute(
        """
        INSERT INTO raw.openrouter_analytics
        SELECT 'openrouter', 'analytics', day, key, model, 1, 0, 1, 1
        FROM (SELECT unnest($days::DATE[]) AS day), (SELECT unnest($hashes::VARCHAR[]) AS key),
            (SELECT unnest($models::VARCHAR[]) AS model)
        """,
        {"days": DAYS, "hashes": list(TENANTS), "models": list(SLUGS)},
    )
    connection.execute(
        """
        INSERT INTO raw.openrouter_analytics
        SELECT 'openrouter', 'analytics', usage_date, NULL, model, sum(cost_usd), 0, 1, 1
        FROM raw.openrouter_analytics GROUP BY usage_date, model
        """
    )
    connection.execute(
        """
        INSERT INTO raw.openai_costs_total
        SELECT 'openai', 'costs_total', usage_date, sum(cost_usd) FROM raw.openai_costs GROUP BY usage_date;
        INSERT INTO raw.openrouter_analytics_total
        SELECT 'openrouter', 'analytics_total', usage_date, sum(cost_usd)
        FROM raw.openrouter_analytics WHERE key_hash IS NULL GROUP BY usage_date
        """
    )
    record_default_margins(connection, DEFAULTS, NOW)
    mark_months(connection, {str(MAY), str(JUNE)})


@pytest.fixture(scope="module")
def planted() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    configure(connection)
    migrate(connection)
    plant(connection)
    build_models(connection, NOW, settle_days=4)
    yield connection
    connection.close()


def version(*rules: dict[str, Any], **others: Any) -> PolicyFile:
    return parse_policy(json.dumps({"margins": list(rules), **others}, default=str).encode(), "policy.yaml")


# --- SQL against the prose ------------------------------------------------------------------------------------------

PATTERNS = {
    "tenant": ["acme", "acme-labs", "acme*", "*", "beta_100%", "beta?100?", "*_*", "ACME"],
    "line_item": [*ITEMS[:4], "*input", "web*", "*, *", "a!b_c%d", "a?b*", "gpt-4o-mini*", "*"],
    "model": ["gpt-4o*", "*mini*", "gpt-4o-2024-08-06", "openai/*", "*grok_4", "*"],
    "category": ["uncategorised", "un*"],
    "provider": ["openai", "openrouter", "open*"],
}
dates = st.sampled_from([date(2026, 1, 1), *DAYS])


@st.composite
def margin_rules(draw: st.DrawFn) -> dict[str, Any]:
    fields = draw(st.sets(st.sampled_from(list(PATTERNS)), max_size=4))
    rule: dict[str, Any] = {name: draw(st.sampled_from(PATTERNS[name])) for name in fields}
    rule["multiplier"] = str(draw(st.decimals(0, 800, places=6)))
    rule["from"] = draw(dates)
    if until := draw(st.none() | dates.filter(lambda day: day > rule["from"])) if rule["from"] < DAYS[-1] else None:
        rule["until"] = until
    return rule


def anything(*fields: str) -> dict[str, Any]:
    """A rule for whatever has these fields."""
    return {**dict.fromkeys(fields, "*"), "multiplier": str(len(fields)), "from": date(2026, 1, 1)}


def fits(pattern: str, value: str | None) -> bool:
    form = "".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in pattern)
    return value is not None and re.fullmatch(form, value, re.DOTALL) is not None


def first_of(rules: list[dict[str, Any]], day: date, facts: dict[str, str | None]) -> list[dict[str, Any]]:
    """design: of the rules valid on the day the one with more fields wins; ties go by field, then exact over glob."""
    left = [
        rule
        for rule in rules
        if rule["from"] <= day
        and ("until" not in rule or day < rule["until"])
        and all(fits(rule[name], facts[name]) for name in facts if name in rule)
    ]
    most = max((sum(name in rule for name in facts) for rule in left), default=0)
    left = [rule for rule in left if sum(name in rule for name in facts) == most]
    for name in ("tenant", "line_item", "model", "category", "provider"):
        left = [rule for rule in left if name in rule] or left
    for name in ("tenant", "line_item", "model", "category", "provider"):
        left = [rule for rule in left if name in rule and not re.search(r"[*?]", rule[name])] or left
    return left


OF_CHARGES = [check for check in all_checks() if check.table in ("billing.rates", "billing.charges")]


@settings(
    max_examples=examples(60),
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(candidates=st.lists(margin_rules(), max_size=12))
@example(candidates=[anything("provider"), anything("category"), anything("model")])
@example(candidates=[anything("model"), anything("line_item")])
@example(candidates=[anything("line_item"), anything("tenant")])
@example(candidates=[anything(), anything("provider")])
def test_sql_chooses_the_rule_the_prose_does(
    planted: duckdb.DuckDBPyConnection, candidates: list[dict[str, Any]]
) -> None:
    rules: list[dict[str, Any]] = []
    file = version()
    for number, candidate in enumerate(candidates):
        try:
            file = version(*rules, {"id": f"r{number}", **candidate})
        except PolicyError:  # it ties with one of the others
            continue
        rules.append({"id": f"r{number}", **candidate})
    record_policy(planted, file, NOW)
    for name in ("billing.kinds_of_spend", "billing.rates", "billing.charges"):
        planted.execute(f"CREATE OR REPLACE TABLE {name} AS {read_sql(name).query}")
    charges = planted.execute(
        """
        SELECT usage_date, tenant_id, line_item, model, category, provider, margin_rule_id, multiplier, billed_usd
        FROM billing.charges
        """
    ).fetchall()
    of_tenants = [charge for charge in charges if charge[1] != "unallocated"]
    assert len(of_tenants) == len(DAYS) * len(TENANTS) * (len(ITEMS) + len(SLUGS))
    assert {charge[-3:] for charge in charges if charge[1] == "unallocated"} == {(None, 0, 0)}
    for day, tenant, line_item, model, category, provider, rule_id, multiplier, billed in of_tenants:
        facts = {"tenant": tenant, "line_item": line_item, "model": model, "category": category, "provider": provider}
        found = first_of(rules, day, facts)
        assert len(found) <= 1, "the loader let two rules tie"
        expected = (
            (found[0]["id"], Decimal(found[0]["multiplier"])) if found else (f"default-{provider}", DEFAULTS[provider])
        )
        assert (rule_id, multiplier) == expected, (day, facts)
        assert billed == multiplier
    refuse_violations(run_checks(planted, OF_CHARGES))


def test_tables_that_are_built_in_parts_have_the_same_rows(planted: duckdb.DuckDBPyConnection) -> None:
    tables = [model.name for model in models_in_order() if model.schema in ("usage", "billing")]

    def contents() -> dict[str, Counter[tuple[object, ...]]]:
        return {name: Counter(planted.execute(f"SELECT * FROM {name}").fetchall()) for name in tables}

    planted.begin()
    mark_months(planted, {str(MAY), str(JUNE)})
    build_within(planted, NOW, 4)
    in_one = contents()
    planted.execute(
        "UPDATE ops.load_days SET rows = $1 WHERE usage_date IN ('2026-05-31', '2026-06-01')", [ROWS_AT_ONCE]
    )  # either is a part of its own
    mark_months(planted, {str(MAY), str(JUNE)})
    build_within(planted, NOW, 4)
    assert contents() == in_one
    planted.execute("UPDATE registry.accounts SET valid_from = '2026-05-31'")  # and a whole one, of other rows
    planted.execute("DELETE FROM ops.load_days WHERE usage_date NOT BETWEEN '2026-05-31' AND '2026-06-02'")
    build_within(planted, NOW, 4, whole=True)
    in_parts = contents()
    planted.execute("UPDATE ops.load_days SET rows = 1")
    build_within(planted, NOW, 4, whole=True)
    assert in_parts == contents() != in_one
    assert in_one["billing.charges"].total() == in_parts["billing.charges"].total() > 0
    planted.rollback()


def test_what_needs_more_memory_than_it_may_have_is_built_without_a_limit(planted: duckdb.DuckDBPyConnection) -> None:
    rows = build_models(planted, NOW, settle_days=4)
    limit = planted.execute("SELECT current_setting('memory_limit')").fetchall()
    mark_months(planted, {str(MAY), str(JUNE)})
    assert build_models(planted, NOW, settle_days=4, memory_bytes=2**20) == rows
    assert planted.execute("SELECT current_setting('memory_limit')").fetchall() == limit
    assert planted.execute("SELECT count(*) FROM ops.dirty_months").fetchall() == [(0,)]


# --- months that are closed, and a policy that changes --------------------------------------------------------------


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """May and June, settled, rated by the defaults."""
    with open_warehouse(tmp_path / "warehouse.duckdb") as connection:
        plant(connection)
        build_models(connection, NOW, settle_days=4)
        yield connection


def use(connection: duckdb.DuckDBPyConnection, file: PolicyFile) -> None:
    record_policy(connection, file, NOW)
    build_models(connection, NOW, settle_days=4)


def multipliers(connection: duckdb.DuckDBPyConnection, tenant: str, provider: str = "openai") -> dict[date, Decimal]:
    rows = connection.execute(
        "SELECT DISTINCT usage_date, multiplier FROM billing.charges WHERE tenant_id = $1 AND provider = $2",
        [tenant, provider],
    ).fetchall()
    assert len(rows) == len(DAYS)
    return dict(rows)


def everything(connection: duckdb.DuckDBPyConnection, table: str) -> list[tuple[Any, ...]]:
    return connection.execute(f"FROM {table} ORDER BY ALL").fetchall()


def close(connection: duckdb.DuckDBPyConnection, month: Month, tenant: str | None = None) -> None:
    close_month(connection, month, NOW, render_invoice, tenant_id=tenant)
    build_models(connection, NOW, settle_days=4)


DOUBLE = {"id": "double", "percent": 100, "from": "2026-01-01"}
TRIPLE = {"id": "triple", "percent": 200, "from": "2026-01-01"}


def test_a_margin_can_change_within_a_month(warehouse: duckdb.DuckDBPyConnection) -> None:
    use(warehouse, version({**DOUBLE, "until": "2026-06-02"}, {**TRIPLE, "from": "2026-06-02"}))
    assert list(multipliers(warehouse, "acme").items()) != []
    assert multipliers(warehouse, "acme") == {day: (2 if day < date(2026, 6, 2) else 3) for day in DAYS}
    refuse_violations(run_checks(warehouse))


def test_days_without_a_rule_fall_back_to_the_default(warehouse: duckdb.DuckDBPyConnection) -> None:
    use(warehouse, version({**DOUBLE, "from": "2026-05-31", "until": "2026-06-01"}))
    expected = {day: Decimal(2) if day == date(2026, 5, 31) else DEFAULTS["openai"] for day in DAYS}
    assert multipliers(warehouse, "acme") == expected
    refuse_violations(run_checks(warehouse))


def test_a_changed_policy_rates_open_months_again_and_no_closed_one(warehouse: duckdb.DuckDBPyConnection) -> None:
    use(warehouse, version(DOUBLE))
    close(warehouse, MAY)
    issued = [everything(warehouse, f"billing.{table}") for table in ("invoices", "invoice_lines")]
    before = everything(warehouse, "billing.charges")
    use(warehouse, version(TRIPLE))
    assert multipliers(warehouse, "acme") == {day: (2 if Month.of(day) == MAY else 3) for day in DAYS}
    assert [row for row in everything(warehouse, "billing.charges") if Month.of(row[0]) == MAY] == [
        row for row in before if Month.of(row[0]) == MAY
    ]
    assert [everything(warehouse, f"billing.{table}") for table in ("invoices", "invoice_lines")] == issued
    refuse_violations(run_checks(warehouse))


def test_a_closed_month_that_is_built_again_keeps_its_version(warehouse: duckdb.DuckDBPyConnection) -> None:
    use(warehouse, version(DOUBLE))
    close(warehouse, MAY)
    use(warehouse, version(TRIPLE))
    before = everything(warehouse, "billing.charges")
    mark_months(warehouse, {str(MAY), str(JUNE)})
    build_models(warehouse, NOW, settle_days=4)
    assert everything(warehouse, "billing.charges") == before


def test_what_is_restated_later_is_rated_as_the_rest_of_its_month_was(warehouse: duckdb.DuckDBPyConnection) -> None:
    use(warehouse, version(DOUBLE))
    close(warehouse, MAY)
    use(warehouse, version(TRIPLE))
    warehouse.execute("UPDATE raw.openai_costs SET cost_usd = 1.5 WHERE project_id = 'acme'")
    warehouse.execute(
        """
        INSERT INTO raw.openai_costs
        SELECT DISTINCT 'openai', 'costs', usage_date, 'acme', 'late item', '', 7, NULL::DECIMAL, NULL::VARCHAR, 1
        FROM raw.openai_costs
        """
    )
    mark_months(warehouse, {str(MAY), str(JUNE)})
    build_models(warehouse, NOW, settle_days=4)
    assert multipliers(warehouse, "acme") == {day: (2 if Month.of(day) == MAY else 3) for day in DAYS}


def test_a_month_closed_for_one_tenant_moves_for_the_others(warehouse: duckdb.DuckDBPyConnection) -> None:
    first, second = version(DOUBLE), version(TRIPLE)
    use(warehouse, first)
    close(warehouse, MAY, "acme")
    use(warehouse, second)
    close(warehouse, MAY)
    use(warehouse, version({**DOUBLE, "percent": 900}))
    assert multipliers(warehouse, "acme")[FIRST] == 2
    assert multipliers(warehouse, "acme-labs")[FIRST] == 3
    named = dict(warehouse.execute("SELECT tenant_id, policy_sha256 FROM billing.invoices").fetchall())
    assert named == {"acme": first.sha256, "acme-labs": second.sha256, "beta_100%": second.sha256}
    warehouse.execute("UPDATE registry.accounts SET tenant_id = 'acme-labs' WHERE tenant_id = 'beta_100%'")
    mark_months(warehouse, {str(MAY)})
    build_models(warehouse, NOW, settle_days=4)
    assert multipliers(warehouse, "acme-labs")[FIRST] == 3


def test_a_tenant_who_gets_spend_after_closing_is_rated_under_the_months_version(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    use(warehouse, version(DOUBLE))
    close(warehouse, MAY)
    use(warehouse, version(TRIPLE))
    save_tenant(warehouse, Tenant("late", "Late", None, None, "USD", None), {}, NOW)
    warehouse.execute(
        "INSERT INTO registry.accounts VALUES ('late', 'openai', 'project', 'nobodys', '2026-01-01', NULL, $1)", [NOW]
    )
    mark_months(warehouse, {str(MAY), str(JUNE)})
    build_models(warehouse, NOW, settle_days=4)
    assert multipliers(warehouse, "late") == {day: (2 if Month.of(day) == MAY else 3) for day in DAYS}


def test_a_key_bound_after_closing_takes_nothing_from_whoever_was_invoiced(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    """In May acme was invoiced for its project; June is still open."""
    warehouse.execute("UPDATE raw.openai_costs SET api_key_id = 'key_x' WHERE project_id = 'acme'")
    mark_months(warehouse, {str(MAY), str(JUNE)})
    build_models(warehouse, NOW, settle_days=4)
    close(warehouse, MAY)
    later = NOW + timedelta(days=1)
    warehouse.execute(
        "INSERT INTO registry.accounts VALUES ('acme-labs', 'openai', 'api_key', 'key_x', '2026-01-01', NULL, $1)",
        [later],
    )
    mark_months(warehouse, {str(MAY), str(JUNE)})
    build_models(warehouse, later, settle_days=4)
    of = "SELECT DISTINCT usage_date, tenant_id FROM billing.charges WHERE api_key_id = 'key_x' ORDER BY 1"
    assert [(Month.of(day), tenant) for day, tenant in warehouse.execute(of).fetchall()] == [
        *[(MAY, "acme")] * 2,
        *[(JUNE, "acme-labs")] * 3,
    ]
    assert everything(warehouse, "billing.corrections_due") == []
    refuse_violations(run_checks(warehouse))


def test_a_binding_of_a_closed_month_cannot_be_taken_away(warehouse: duckdb.DuckDBPyConnection) -> None:
    close(warehouse, MAY)
    end = "UPDATE registry.accounts SET valid_until = $1 WHERE tenant_id = 'acme'"
    warehouse.execute(end, [JUNE.first])
    (check,) = [check for check in all_checks() if check.name == "bindings_of_closed_months_stand"]
    refuse_violations(run_checks(warehouse, [check]))
    warehouse.execute(end, [date(2026, 5, 31)])
    with pytest.raises(CheckFailed, match=r"bindings_of_closed_months_stand.*acme"):
        refuse_violations(run_checks(warehouse, [check]))


# --- versions -------------------------------------------------------------------------------------------------------


def test_every_version_used_is_kept_as_it_was_and_can_be_used_again(warehouse: duckdb.DuckDBPyConnection) -> None:
    built_in, first, second = parse_policy(b"", "none"), version(DOUBLE), version(TRIPLE)
    assert policy_in_use(warehouse) == built_in
    for file in (first, first, second, first):
        use(warehouse, file)
        assert policy_in_use(warehouse) == file
    kept = warehouse.execute(
        "SELECT policy_sha256, content FROM policy.versions ORDER BY first_used_at NULLS FIRST"
    ).fetchall()
    assert sorted(kept) == sorted((file.sha256, file.content) for file in (built_in, first, second))
    uses = warehouse.execute("SELECT policy_sha256 FROM policy.uses ORDER BY use_no").fetchall()
    assert [sha for (sha,) in uses] == [built_in.sha256, first.sha256, second.sha256, first.sha256]
    assert warehouse.execute("SELECT count(*) FROM policy.margins").fetchall() == [(2,)]
    assert set(multipliers(warehouse, "acme").values()) == {2}


def test_a_file_that_did_not_change_rates_nothing_again(warehouse: duckdb.DuckDBPyConnection) -> None:
    use(warehouse, version(DOUBLE))
    assert record_policy(warehouse, version(DOUBLE), NOW) is False
    assert everything(warehouse, "ops.dirty_months") == []
    assert record_policy(warehouse, version(TRIPLE), NOW) is True
    assert everything(warehouse, "ops.dirty_months") == [(str(MAY),), (str(JUNE),)]
    build_models(warehouse, NOW, settle_days=4)
    close(warehouse, MAY)
    assert record_policy(warehouse, version(DOUBLE), NOW) is True
    assert everything(warehouse, "ops.dirty_months") == [(str(JUNE),)]


def test_an_older_warehouse_is_rated_as_before() -> None:
    """Its default margins go on, and its closed months name versions that are there."""
    connection = duckdb.connect()
    configure(connection)
    connection.begin()
    connection.execute("CREATE TABLE main.migrations (name VARCHAR NOT NULL, applied_at TIMESTAMPTZ NOT NULL)")
    for path in sorted((SQL_ROOT / "migrations").glob("*.sql")):
        if path.stem < "0012":
            connection.execute(path.read_text())
            connection.execute("INSERT INTO main.migrations VALUES ($1, now())", [path.stem])
    connection.execute("INSERT INTO policy.margin_rules VALUES ('r', 'openai', 1.25, '1970-01-01', NULL, now())")
    connection.execute(
        "INSERT INTO billing.closed_months VALUES ('2026-05', NULL, now(), NULL), ('2026-04', 'a', now(), NULL)"
    )
    connection.execute(
        """
        INSERT INTO billing.invoices BY NAME
        SELECT number AS invoice_number, tenant_id, month, 'invoice' AS kind, 'issued' AS status,
            'USD' AS currency, 0 AS net_minor, 0 AS tax_minor, 0 AS total_minor, now() AS issued_at, 'n' AS buyer_name,
            't' AS template, 's' AS sha256, policy_sha256
        FROM (VALUES ('INV-2026-00001', 'a', '2026-05', 'old-1'), ('INV-2026-00002', 'a', '2026-04', 'old-2'))
            AS known(number, tenant_id, month, policy_sha256)
        """
    )
    connection.commit()
    migrate(connection)
    closed = connection.execute("SELECT month, policy_sha256 FROM billing.closed_months ORDER BY 1").fetchall()
    assert closed == [("2026-04", "old-2"), ("2026-05", "old-1")]
    versions = {sha for (sha,) in connection.execute("SELECT policy_sha256 FROM policy.versions").fetchall()}
    assert versions == {"old-1", "old-2", sha256_in_use(connection)}
    assert connection.execute("SELECT rule_id FROM policy.default_margins").fetchall() == [("r",)]
    numbers = connection.execute("SELECT series, series_number, issue_no FROM billing.documents ORDER BY 2").fetchall()
    assert [number[:2] for number in numbers] == [("INV-2026-#", 1), ("INV-2026-#", 2)]
    assert {number[2] for number in numbers} == {1, 2}
    connection.close()


# --- waiting --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("waiting_days", "refused"), [(0, False), (19, False), (20, True)])
def test_a_month_is_not_closed_before_its_waiting_days_unless_a_reason_is_given(
    warehouse: duckdb.DuckDBPyConnection, waiting_days: int, refused: bool
) -> None:
    if refused:
        with pytest.raises(CheckFailed, match="waits 20 days after a month's end, until 2026-07-21"):
            close_month(warehouse, JUNE, NOW, render_invoice, waiting_days=waiting_days)
        assert everything(warehouse, "billing.invoices") == []
    close_month(warehouse, JUNE, NOW, render_invoice, waiting_days=waiting_days, accepted_reason="the auditor waits")
    reason = "the auditor waits" if refused else None
    assert warehouse.execute("SELECT DISTINCT accepted_reason FROM billing.invoices").fetchall() == [(reason,)]
