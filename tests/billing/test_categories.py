"""Which category usage falls into: SQL against the policy's own rules, and against the sandbox's world."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from examples import examples
from figures import expected_categories
from tokenboard_etl.billing.margins import record_default_margins
from tokenboard_etl.billing.policy_file import PolicyFile, parse_policy
from tokenboard_etl.billing.policy_versions import record_policy
from tokenboard_etl.periods import Window
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.warehouse.connection import configure
from tokenboard_etl.warehouse.loads import mark_months
from tokenboard_etl.warehouse.migrations import migrate
from tokenboard_etl.warehouse.models import build_models
from tokenboard_etl.warehouse.sql_files import read_sql

NOW = datetime(2026, 6, 15, 2, 0, tzinfo=UTC)
DAY = date(2026, 6, 1)
DAYS = (DAY, date(2026, 6, 2))
KEYS, PROJECTS = ("key_video", "key_50%", ""), ("proj_a", "proj_b", "")
MODELS = ("gpt-4o", "gpt-4o-mini", "ft-gpt-4o", None)
"""None: an item that is no model. Costs spell a fine-tune ft-base, usage ft:base:organization:suffix:id."""

USAGE = {
    ("proj_a", "key_video", "gpt-4o"): (5_000, 1),
    ("proj_a", "key_50%", "gpt-4o"): (5_001, 1),
    ("proj_b", "key_video", "gpt-4o-mini"): (3_000, 3),
    ("proj_b", "key_50%", "gpt-4o-mini"): (3_001, 3),
    ("proj_a", "key_video", "ft-gpt-4o"): (12_000, 2),
    ("proj_b", "", "gpt-4o"): (7, 0),
    ("", "", "gpt-4o"): (0, 5),
}
"""(project, key, model) to (tokens, requests); everything else has no usage figures."""


def version(rules: list[dict[str, Any]] | None, **others: Any) -> PolicyFile:
    content = {} if rules is None else {"categories": rules}
    return parse_policy(json.dumps({**content, **others}, default=str).encode(), "policy.yaml")


@pytest.fixture(scope="module")
def planted() -> Iterator[duckdb.DuckDBPyConnection]:
    """A dollar of cost for every project, key and model, with usage for some."""
    connection = duckdb.connect()
    configure(connection)
    migrate(connection)
    for project in PROJECTS:
        for key in KEYS:
            for model in MODELS:
                item = f"{model}, input" if model else "web search tool calls"
                connection.execute(
                    "INSERT INTO raw.openai_costs SELECT 'openai', 'l', unnest($1::DATE[]), $2, $3, $4, 1, 1, NULL, 1",
                    [list(DAYS), project, item, key],
                )
    for (project, key, model), (tokens, requests) in USAGE.items():
        parts = [(model, tokens, requests)]
        if model.startswith("ft-"):  # two fine-tunes of one base are one model on the bill
            parts = [(f"ft:{model[3:]}:org::{name}", tokens // 2, requests // 2) for name in ("a", "b")]
        for name, some, of_requests in parts:
            for tier, count in (("default", some - some // 3), ("flex", some // 3)):
                connection.execute(
                    """
                    INSERT INTO raw.openai_completions BY NAME
                    SELECT 'openai' AS connection_id, 'l' AS load_id, unnest($days::DATE[]) AS usage_date,
                        $project AS project_id, $model AS model, $key AS api_key_id, '' AS user_id, 'false' AS batch,
                        $tier AS service_tier, $input::HUGEINT AS input_tokens, $output::HUGEINT AS output_tokens,
                        $requests::HUGEINT AS requests
                    """,
                    {
                        "days": list(DAYS),
                        "project": project,
                        "model": name,
                        "key": key,
                        "tier": tier,
                        "input": count // 2,
                        "output": count - count // 2,
                        "requests": of_requests if tier == "default" else 0,
                    },
                )
    connection.execute(
        """
        INSERT INTO ops.load_days
        SELECT 'l', 'openai', 'openai', 'costs', unnest($1::DATE[]), $2, $2, 1, 1
        """,
        [list(DAYS), NOW],
    )
    connection.execute(
        "INSERT INTO registry.accounts SELECT 'acme', 'openai', 'project', 'proj_a', $1, NULL, $2", [DAY, NOW]
    )
    record_default_margins(connection, {"openai": Decimal("1.25"), "openrouter": Decimal("1.3")}, NOW)
    record_policy(connection, version([]), NOW)
    mark_months(connection, {"2026-06"})
    build_models(connection, NOW, settle_days=4)
    yield connection
    connection.close()


def chosen(connection: duckdb.DuckDBPyConnection, file: PolicyFile) -> dict[tuple[Any, ...], str]:
    """(day, project, key, model) of every charge to its category, under a policy."""
    record_policy(connection, file, NOW)
    for name in ("billing.categories", "billing.kinds_of_spend", "billing.rates", "billing.charges"):
        connection.execute(f"CREATE OR REPLACE TABLE {name} AS {read_sql(name).query}")
    rows = connection.execute(
        "SELECT usage_date, account_id, api_key_id, model, category FROM billing.charges WHERE source = 'provider'"
    ).fetchall()
    assert len(rows) == len(DAYS) * len(PROJECTS) * len(KEYS) * len(MODELS)
    return {tuple(row[:4]): row[4] for row in rows}


def by_the_policy(file: PolicyFile) -> dict[tuple[Any, ...], str]:
    """The same as the policy itself answers, one by one."""
    found = {}
    for day in DAYS:
        for project in PROJECTS:
            for key in KEYS:
                for model in MODELS:
                    tokens, requests = USAGE.get((project, key, model or "none"), (None, None))
                    found[day, project, key, model] = file.policy.category_of(
                        day,
                        api_key=key or None,
                        project=project or None,
                        model=model,
                        tokens=tokens,
                        requests=requests,
                    )
    return found


@st.composite
def category_rules(draw: st.DrawFn) -> dict[str, Any]:
    rule: dict[str, Any] = {
        "category": draw(st.sampled_from(["a", "b", "c"])),
        "from": draw(st.sampled_from(["2026-01-01", "2026-06-02"])),
    }
    if rule["from"] == "2026-01-01" and draw(st.booleans()):
        rule["until"] = "2026-06-02"
    patterns = {
        "api_key": ["key_video", "key_*", "key_50%", "*", "?ey_50%"],
        "project": ["proj_a", "proj?b", "*", "proj_*"],
        "model": ["gpt-4o", "gpt-4o*", "*mini", "ft-*", "*"],
        "over_tokens_per_request": [0, 999, 1_000, 5_000, 5_001, 6_000],
    }
    for name in draw(st.sets(st.sampled_from(sorted(patterns)), max_size=3)):
        rule[name] = draw(st.sampled_from(patterns[name]))
    return rule


@settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(category_rules(), max_size=6))
def test_sql_takes_the_rule_that_the_policy_takes(
    planted: duckdb.DuckDBPyConnection, rules: list[dict[str, Any]]
) -> None:
    file = version([{"id": f"r{number}", **rule} for number, rule in enumerate(rules)])
    assert chosen(planted, file) == by_the_policy(file)


def test_the_built_in_rules_go_by_tokens_per_request(planted: duckdb.DuckDBPyConnection) -> None:
    found = chosen(planted, version(None, currency="EUR"))
    named = {key[1:]: category for key, category in found.items() if key[0] == DAY and category != "uncategorised"}
    assert named == {
        ("proj_a", "key_video", "gpt-4o"): "video-interview",
        ("proj_a", "key_50%", "gpt-4o"): "cv-parsing",
        ("proj_b", "key_video", "gpt-4o-mini"): "question-generation",
        ("proj_b", "key_50%", "gpt-4o-mini"): "video-interview",
        ("proj_a", "key_video", "ft-gpt-4o"): "cv-parsing",
        ("", "", "gpt-4o"): "question-generation",
    }


def test_a_margin_may_go_by_category(planted: duckdb.DuckDBPyConnection) -> None:
    margins = [{"id": "dear", "category": "cv-parsing", "multiplier": 2, "from": "2026-01-01"}]
    found = chosen(planted, version(None, margins=margins))
    rated = planted.execute(
        """
        SELECT DISTINCT category, margin_rule_id, multiplier FROM billing.charges
        WHERE tenant_id = 'acme' ORDER BY category
        """
    ).fetchall()
    default = ("default-openai", Decimal("1.250000"))
    assert rated == [
        ("cv-parsing", "dear", 2),
        ("uncategorised", *default),
        ("video-interview", *default),
    ]
    assert set(found.values()) == {"cv-parsing", "question-generation", "uncategorised", "video-interview"}


def test_versions_of_before_there_were_these_tables_are_completed(planted: duckdb.DuckDBPyConnection) -> None:
    file = version([{"id": "all", "category": "a", "from": "2026-01-01"}])
    record_policy(planted, file, NOW)
    tables = ("policy.categories", "policy.fallback_prices")
    before = {name: planted.execute(f"FROM {name} ORDER BY ALL").fetchall() for name in tables}
    for name in tables:
        planted.execute(f"DELETE FROM {name}")
    planted.execute("DELETE FROM ops.dirty_months")
    assert record_policy(planted, file, NOW) is False
    assert {name: planted.execute(f"FROM {name} ORDER BY ALL").fetchall() for name in tables} == before
    assert planted.execute("FROM ops.dirty_months").fetchall() == [("2026-06",)]
    record_policy(planted, file, NOW)
    assert {name: planted.execute(f"FROM {name} ORDER BY ALL").fetchall() for name in tables} == before


# --- the sandbox's world --------------------------------------------------------------------------------------------


def test_every_charge_of_a_night_is_in_the_category_of_its_usage(
    sandbox: RunningSandbox, night: Callable[..., Any], warehouse: duckdb.DuckDBPyConnection
) -> None:
    window = Window(NOW.date() - timedelta(days=2), NOW.date())
    night(NOW, window, "openai", {"costs", "costs_total", "completions"})
    night(NOW, window, "openrouter", {"keys", "key_readings", "analytics", "analytics_total", "activity_by_key"})
    expected = {
        (day, *of): category
        for day in (window.start, window.last)
        for of, category in expected_categories(sandbox.world, day, NOW).items()
    }
    charges = warehouse.execute(
        "SELECT usage_date, account_id, api_key_id, line_item, category, provider FROM billing.charges"
    ).fetchall()
    found = {tuple(row[:4]): row[4] for row in charges}
    assert {key for key in found if key[1]} <= expected.keys()
    assert {key: category for key, category in found.items() if expected.get(key, "uncategorised") != category} == {}
    for provider in ("openai", "openrouter"):
        assert len({row[4] for row in charges if row[5] == provider}) > 2
