"""Names, keys and limits over the nights: what was renamed, archived or deleted keeps its history and its costs."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import httpx
import pytest

from assets.run import run_nightly
from tokenboard_etl.connections import Connection, connections
from tokenboard_etl.extraction import SNAPSHOTS, extract
from tokenboard_etl.landing import Landing, read_body
from tokenboard_etl.periods import Window, lookback_window, utc_day
from tokenboard_etl.providers.openai_usage import OTHER_USAGE
from tokenboard_etl.providers.sandbox.organizations import ApiKey, Project
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.settings import Settings, load_settings
from tokenboard_etl.warehouse.sql_files import read_sql

FIRST, SECOND = datetime(2026, 6, 14, 2, tzinfo=UTC), datetime(2026, 6, 15, 2, tzinfo=UTC)
Query = Callable[..., list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Story:
    """What happened to whom between the two nights."""

    renamed: Project
    archived: Project
    new_project_id: str
    deleted_key: ApiKey
    limited: Project
    home: Path
    query: Query


def night(sandbox: RunningSandbox, home: Path, now: datetime, instance: dg.DagsterInstance) -> Query:
    sandbox.set_clock(now)
    settings = load_settings(**sandbox.env(), TOKENBOARD_HOME=str(home), TOKENBOARD_NOW=now.isoformat())
    run_nightly(settings, lookback_window(utc_day(now), settings.lookback_days), instance)
    return lambda text, values=(): _ask(settings.published_path, text, values)


def _ask(path: Path, text: str, values: Any) -> list[tuple[Any, ...]]:
    with duckdb.connect(path, read_only=True) as published:
        return published.execute(text, list(values)).fetchall()


@pytest.fixture(scope="module")
def story(_shared_sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Two nights, with changes between them."""
    sandbox, home = _shared_sandbox, tmp_path_factory.mktemp("story")
    organization = sandbox.world.organizations[0]
    active = [project for project in organization.projects if not project.is_default and project.archived_on is None]
    renamed, archived, limited, other = active[1], active[2], active[3], active[4]
    deleted = next(key for key in other.keys if key.service_account_id is not None)
    headers = {"Authorization": f"Bearer {sandbox.env()['OPENAI_ADMIN_KEY']}"}
    with (
        httpx.Client(base_url=sandbox.openai_base_url + "/organization/", headers=headers) as openai,
        dg.DagsterInstance.ephemeral() as instance,
    ):

        def post(path: str, body: dict[str, Any] | None = None) -> Any:
            answer = openai.post(path, json=body or {})
            assert answer.status_code == 200, answer.text
            return answer.json()

        sandbox.set_clock(FIRST)
        limit = {"threshold_amount": 12_345, "currency": "USD", "interval": "month"}
        post(f"projects/{limited.id}/spend_limit", limit)
        night(sandbox, home, FIRST, instance)
        sandbox.set_clock(FIRST + timedelta(hours=10))
        post(f"projects/{renamed.id}", {"name": 'Renamed "GmbH" <b>'})
        post(f"projects/{archived.id}/archive")
        new = post("projects", {"name": "brand new"})["id"]
        assert openai.delete(f"projects/{other.id}/api_keys/{deleted.id}").status_code == 200
        assert openai.delete(f"projects/{limited.id}/spend_limit").status_code == 200
        post("admin_api_keys", {"name": "soon over", "expires_in_seconds": 20 * 86_400})
        post("admin_api_keys", {"name": "a year", "expires_in_seconds": 31_536_000})
        query = night(sandbox, home, SECOND, instance)
    yield Story(renamed, archived, new, deleted, limited, home, query)
    sandbox.reset()


def test_a_renamed_project_keeps_both_names_and_when_they_held(story: Story) -> None:
    names = story.query(
        "SELECT name, seen_from, seen_until FROM ops.account_names WHERE account_id = $1 ORDER BY seen_from",
        [story.renamed.id],
    )
    today, before = utc_day(SECOND), utc_day(FIRST)
    assert names == [(story.renamed.name, before, today), ('Renamed "GmbH" <b>', today, None)]
    assert story.query("SELECT name, status FROM ops.accounts WHERE account_id = $1", [story.renamed.id]) == [
        ('Renamed "GmbH" <b>', "active")
    ]


def test_an_archived_project_and_what_it_held_stay_listed_as_such(story: Story) -> None:
    statuses = dict(
        story.query(
            "SELECT account_id, status FROM ops.accounts WHERE parent_id = $1 OR account_id = $1", [story.archived.id]
        )
    )
    assert statuses.pop(story.archived.id) == "archived"
    held = {key.id for key in story.archived.keys} | {
        key.service_account_id for key in story.archived.keys if key.service_account_id
    }
    assert set(statuses) == held
    assert set(statuses.values()) <= {"archived", "deleted"}


def test_a_key_that_was_deleted_keeps_its_name_and_its_costs(story: Story, sandbox: RunningSandbox) -> None:
    key = story.deleted_key
    (account,) = story.query(
        "SELECT kind, parent_id, name, status, first_seen, last_seen FROM ops.accounts WHERE account_id = $1", [key.id]
    )
    first = utc_day(FIRST)
    assert account == ("api_key", key.project_id, key.name, "deleted", first, first)
    assert story.query("SELECT name, seen_until FROM ops.account_names WHERE account_id = $1", [key.id]) == [
        (key.name, None)
    ]
    day = date(2026, 6, 13)
    true = sum(
        row.amount_usd.quantize(Decimal("1e-18"))
        for row in sandbox.world.openai_costs(sandbox.world.organizations[0].id, day, SECOND)
        if row.api_key_id == key.id
    )
    spent = story.query(
        "SELECT sum(cost_usd) FROM billing.charges WHERE api_key_id = $1 AND usage_date = $2", [key.id, day]
    )
    assert spent == [(true,)]
    assert true > 0


def test_every_account_the_world_has_is_known_by_kind_parent_and_name(story: Story, sandbox: RunningSandbox) -> None:
    expected: set[tuple[str, str, str | None, str]] = {("project", story.new_project_id, None, "brand new")}
    for project in sandbox.world.organizations[0].projects:
        name = 'Renamed "GmbH" <b>' if project.id == story.renamed.id else project.name
        expected.add(("project", project.id, None, name))
        for key in project.keys:
            expected.add(("api_key", key.id, project.id, key.name))
            if key.service_account_id and project.archived_on is None:  # an archived project no longer lists them
                expected.add(("service_account", key.service_account_id, project.id, key.name))
    found = story.query("SELECT kind, account_id, parent_id, name FROM ops.accounts WHERE provider = 'openai'")
    assert Counter(found) == Counter(expected)


def test_a_limit_is_exact_dollars_none_is_null_and_not_asked_is_no_row(story: Story, sandbox: RunningSandbox) -> None:
    rows = story.query(
        """
        SELECT snapshot_date, limit_usd, limit_interval, enforcement_status FROM ops.spend_limits WHERE project_id = $1
        """,
        [story.limited.id],
    )
    assert sorted(rows, key=str) == [
        (utc_day(FIRST), Decimal("123.45"), "month", "enforcing"),
        (utc_day(SECOND), None, None, None),
    ]
    closed = {p.id for p in sandbox.world.organizations[0].projects if p.archived_on} | {story.archived.id}
    asked = story.query("SELECT project_id FROM ops.spend_limits WHERE snapshot_date = $1", [utc_day(SECOND)])
    projects = {p.id for p in sandbox.world.organizations[0].projects} | {story.new_project_id}
    assert {project for (project,) in asked} == projects - closed


def test_an_admin_key_that_soon_expires_is_reported_by_name(story: Story) -> None:
    left = dict(story.query("SELECT name, days_left FROM ops.admin_keys"))
    assert left == {"Reporting": None, "soon over": 19, "a year": 364}
    with duckdb.connect(story.home / "warehouse.duckdb", read_only=True) as warehouse:
        found = warehouse.execute(read_sql("checks.admin_keys_expire").query).fetchall()
    assert [(name, days) for _, _, name, _, days in found] == [("soon over", 19)]


def test_no_value_of_a_key_not_even_redacted_is_in_a_table(story: Story) -> None:
    with duckdb.connect(story.home / "warehouse.duckdb", read_only=True) as warehouse:
        names = warehouse.execute(
            """
            SELECT schema_name || '.' || table_name FROM duckdb_tables()
            WHERE schema_name = 'ops' OR table_name LIKE 'openai%'
            """
        ).fetchall()
        text = "".join(str(warehouse.execute(f"FROM {name}").fetchall()) for (name,) in names)
    assert "soon over" in text
    assert "sk-" not in text


@pytest.mark.parametrize("endpoint", OTHER_USAGE)
def test_usage_equals_the_world_row_by_row(story: Story, sandbox: RunningSandbox, endpoint: str) -> None:
    """The measures of the world keep their wire names; the table's are translated back by the contract's words."""
    wire = {"requests": "num_model_requests", "calls": "num_requests", "sessions": "num_sessions"}
    found: Counter[tuple[Any, ...]] = Counter()
    for day, project, key, model, size, source, store, level, measure, quantity in story.query(
        """
        SELECT usage_date, project_id, api_key_id, model, size, source, vector_store_id, context_level,
            measure, quantity
        FROM usage.other WHERE endpoint = $1
        """,
        [endpoint],
    ):
        found[day, project, key, model, size, source, store, level, wire.get(measure, measure)] += int(quantity)
    true: Counter[tuple[Any, ...]] = Counter()
    by_key = endpoint not in ("vector_stores", "code_interpreter_sessions")
    by_model = by_key and endpoint != "file_search_calls"
    org = sandbox.world.organizations[0].id
    for day in Window(utc_day(FIRST) - timedelta(days=5), utc_day(SECOND)).days():
        for row in sandbox.world.openai_usage(org, endpoint, day, SECOND):
            more = dict(row.dimensions)
            place = (
                day,
                row.project_id,
                row.api_key_id if by_key else "",
                (row.model or "") if by_model else "",
                *(more.get(name, "") for name in ("size", "source", "vector_store_id", "context_level")),
            )
            for measure, quantity in row.measures:
                true[*place, measure] += quantity
    assert true
    assert found == true


def test_each_measure_has_its_unit(story: Story) -> None:
    units = dict(story.query("SELECT DISTINCT measure, unit FROM usage.other"))
    assert units == {
        "input_tokens": "tokens",
        "output_tokens": "tokens",
        "images": "images",
        "characters": "characters",
        "seconds": "seconds",
        "usage_bytes": "bytes",
        "sessions": "sessions",
        "calls": "calls",
        "requests": "requests",
    }


def test_snapshots_are_no_source_of_days(story: Story) -> None:
    reports = {report for (report,) in story.query("SELECT DISTINCT report FROM ops.source_days")}
    assert not reports & SNAPSHOTS
    assert {f"other_usage.{endpoint}" for endpoint in OTHER_USAGE} <= reports
    words = read_sql("ops.source_days").query
    assert all(f"'{name}'" in words for name in SNAPSHOTS)


def test_a_key_for_usage_alone_leaves_a_reason_and_the_night_goes_on(
    sandbox: RunningSandbox, settings: Settings
) -> None:
    """A key with the one scope api.usage.read: no projects, so nothing that is read with them either."""
    sandbox.add_fault("status", "/organization/projects", status=403)
    sandbox.add_fault("status", "/organization/admin_api_keys", status=403)
    sandbox.add_fault("status", "/usage/decisions", status=404)
    with dg.DagsterInstance.ephemeral() as instance:
        query = night(sandbox, settings.home, SECOND, instance)
    reasons = dict(query("SELECT report, unavailable_reason FROM ops.loads WHERE result = 'unavailable'"))
    assert set(reasons) == {
        "projects",
        "service_accounts",
        "project_keys",
        "spend_limits",
        "admin_keys",
        "other_usage.decisions",
    }
    assert all("403" in reason for report, reason in reasons.items() if report != "other_usage.decisions")
    assert query("SELECT count(*) FROM ops.accounts WHERE provider = 'openai'") == [(0,)]
    assert query("SELECT count(*) > 0 FROM billing.charges WHERE provider = 'openai'") == [(True,)]
    states = query("SELECT DISTINCT state FROM ops.source_days WHERE report = 'other_usage.decisions'")
    assert states == [("missing",)]


def test_a_provider_without_spend_limits_is_not_read_as_one_where_none_are_set(settings: Settings) -> None:
    (connection,) = connections(settings, "openai")
    today = utc_day(settings.now)

    def read(through: Connection, report: str) -> Landing:
        window = Window.of_days(today, today)
        return asyncio.run(extract(through, report, window, settings.landing_path, lambda: settings.now))

    read(connection, "projects")
    known = read(connection, "spend_limits")
    assert known.unavailable is None
    assert {(page.status, read_body(known.folder, page)) for page in known.pages} == {(404, b"null")}
    elsewhere = read(replace(connection, base_url=connection.base_url + "/v0"), "spend_limits")
    assert "Invalid URL" in (elsewhere.unavailable or "")
    assert elsewhere.pages == ()
