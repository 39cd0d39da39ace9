"""A published file with a past: May closed early and restated since, June running, names that mean harm, and tenants
who shared accounts.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import subprocess
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from assets.run import run_month_close
from figures import expected_categories
from tests.commands import tokenboard
from tokenboard_etl.closing import republish
from tokenboard_etl.connections import connections
from tokenboard_etl.extraction import Failure, Undertaking, extract_all, reports_of
from tokenboard_etl.landing import complete_landings
from tokenboard_etl.periods import Month, Window, utc_day
from tokenboard_etl.providers.sandbox.server import RunningSandbox, running_sandbox
from tokenboard_etl.providers.sandbox.world import World
from tokenboard_etl.reports import write_reports
from tokenboard_etl.settings import Settings, load_settings
from tokenboard_etl.tenants.adoption import adopt
from tokenboard_etl.tenants.csv_import import import_tenants
from tokenboard_etl.warehouse.connection import open_warehouse
from tokenboard_etl.warehouse.load import load_landing
from tokenboard_etl.warehouse.loads import loaded_ids

CLOSED = Month(2026, 5)
RUNNING = Month(2026, 6)
CLOSED_AT = datetime(2026, 6, 2, 2, 0, tzinfo=UTC)
"""Too early: the last days of May are not final yet."""
READ_AT = datetime(2026, 6, 10, 2, 0, tzinfo=UTC)
LAST_DAY = date(2026, 6, 9)
ACTIVITY = Window(CLOSED_AT.date() - timedelta(days=29), RUNNING.first)
"""The days of which OpenRouter tells tokens when a month is closed: none of REPORTS does."""

REPORTS = {"costs", "costs_total", "completions", "projects", "project_keys", "keys", "analytics", "analytics_total"}

HOST, GUEST, BEFORE, AFTER = (World().tenants[place].tenant_id for place in (7, 3, 5, 1))
"""GUEST has a key in the project of HOST; the project of BEFORE, which bears its name, is AFTER's since HANDED_OVER."""
HANDED_OVER = date(2026, 5, 18)

MULTIPLIERS = {"openai": Fraction(5, 4), "openrouter": Fraction(13, 10)}
"""The default margins, 25 % and a markup of 1.3."""


@dataclass(frozen=True)
class Spent:
    """One row of the world: what a day's use of one item by one key cost, USD.

    `billed_account_id` is the account as the tenant may know it.
    """

    usage_date: date
    tenant_id: str
    provider: str
    account_id: str
    billed_account_id: str
    api_key_id: str
    line_item: str
    category: str
    cost_usd: Fraction

    @property
    def month(self) -> str:
        return f"{self.usage_date:%Y-%m}"

    @property
    def billed_usd(self) -> Fraction:
        return self.cost_usd * (0 if self.tenant_id == "unallocated" else MULTIPLIERS[self.provider])


TREE = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2])}
"""The script of the environment, and the code of this checkout."""

Ask = Callable[..., list[tuple[Any, ...]]]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def world_home(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """TOKENBOARD_HOME of that past, made once for all workers of a run. Tests only read it."""
    shared = tmp_path_factory.getbasetemp() if worker_id == "master" else tmp_path_factory.getbasetemp().parent
    home = shared / "reading-home"
    with (shared / "reading-home.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "complete").exists():
            with running_sandbox(now=CLOSED_AT, analytics_per_minute=None) as sandbox:
                _live_through(sandbox, home)
            (home / "complete").touch()
    return home


def _live_through(sandbox: RunningSandbox, home: Path) -> None:
    tenants = home / "tenants.csv"
    home.mkdir()
    tenants.write_text(sandbox.world.tenants_csv())
    early = _settings(sandbox, home, CLOSED_AT)
    with open_warehouse(early.warehouse_path) as warehouse:
        import_tenants(warehouse, tenants, CLOSED_AT)
    _night(early, Window.of_days(CLOSED.first, date(2026, 6, 1)))
    with open_warehouse(early.warehouse_path) as warehouse:
        adopt(warehouse, GUEST, "openai", guest_key(), None, CLOSED_AT)
        adopt(warehouse, AFTER, "openai", project_of(BEFORE), HANDED_OVER, CLOSED_AT, take_over=True)
    with dg.DagsterInstance.ephemeral() as instance:
        run_month_close(early, CLOSED, instance, accepted_reason="the auditors are waiting")
    sandbox.set_clock(READ_AT)
    now = _settings(sandbox, home, READ_AT)
    _night(now, Window.of_days(date(2026, 5, 28), LAST_DAY))
    write_reports(now)


def _settings(sandbox: RunningSandbox, home: Path, now: datetime) -> Settings:
    return load_settings(**sandbox.env(), TOKENBOARD_HOME=str(home), TOKENBOARD_NOW=now.isoformat())


def _night(settings: Settings, window: Window) -> None:
    """The reports that bills and names are made from, loaded and published."""
    today = utc_day(settings.now)
    for provider in ("openai", "openrouter"):
        for snapshots, days in ((True, Window.of_days(today, today)), (False, window)):
            wanted = [each for each in reports_of(provider, snapshots=snapshots) if each.name in REPORTS]
            about = Undertaking(days, settings.landing_path, lambda: settings.now)
            outcomes = asyncio.run(extract_all(connections(settings, provider), wanted, about))
            assert [each.error for each in outcomes if isinstance(each, Failure)] == []
            with open_warehouse(settings.warehouse_path) as warehouse:
                for report in wanted:
                    known = loaded_ids(warehouse)
                    for landing in complete_landings(settings.landing_path, provider, report.name, without=known):
                        load_landing(warehouse, landing, settings.settle_time)
    with open_warehouse(settings.warehouse_path) as warehouse:
        republish(warehouse, settings)


@cache
def project_of(tenant_id: str) -> str:
    """A tenant's own project in our organization."""
    (organization,) = World().organizations[:1]
    return next(project.id for project in organization.projects if project.tenant_id == tenant_id)


@cache
def guest_key() -> str:
    """The key of GUEST in the project of HOST."""
    (organization,) = World().organizations[:1]
    return next(project.keys[0].id for project in organization.projects if project.id == project_of(HOST))


@cache
def spent_by(seen_at: datetime) -> list[Spent]:
    """What the world spent from the first of May to LAST_DAY, as it shows it at a moment."""
    world = World()
    projects = {p: t.tenant_id for t in world.tenants for p in t.openai_projects[world.organizations[0].id]}
    keys = {key: tenant.tenant_id for tenant in world.tenants for key in tenant.openrouter_keys}
    found = []
    for day in Window.of_days(CLOSED.first, LAST_DAY).days():
        categories = expected_categories(world, day, seen_at)
        for cost in world.openai_costs(world.organizations[0].id, day, seen_at):
            account, amount = cost.project_id or "", cost.amount_usd.quantize(Decimal("1e-18"), ROUND_HALF_UP)
            owner, key, told = projects.get(account, "unallocated"), cost.api_key_id or "", account
            if account == project_of(BEFORE) and day >= HANDED_OVER:
                owner = AFTER
            if key == guest_key():
                owner, told = GUEST, key
            item, kind = cost.line_item, categories[account, key, cost.line_item]
            found.append(Spent(day, owner, "openai", account, told, key, item, kind, Fraction(amount)))
        for row in world.openrouter_spend(day, seen_at):
            key = row.key_hash or ""
            owner = keys.get(key, "unallocated")
            told = day in ACTIVITY and key
            item, kind = row.model, categories[key, key, row.model] if told else "uncategorised"
            found.append(Spent(day, owner, "openrouter", key, key, key, item, kind, Fraction(row.usage_usd)))
    return found


@pytest.fixture(scope="session")
def spent() -> list[Spent]:
    """The same as of READ_AT: the truth the file is held against."""
    return spent_by(READ_AT)


def total(amounts: Iterable[Fraction], decimals: int = 24) -> Decimal:
    """The exact sum, which needs no more decimals than that."""
    scaled = sum(amounts, Fraction(0)) * 10**decimals
    assert scaled.denominator == 1
    with localcontext(prec=80):
        return Decimal(scaled.numerator).scaleb(-decimals)


@pytest.fixture
def published(world_home: Path) -> Path:
    return world_home / "published" / "tokenboard.duckdb"


@pytest.fixture
def ask(published: Path) -> Iterator[Ask]:
    """Runs a query on the published file."""
    connection = duckdb.connect(published, read_only=True)
    yield lambda query, *values: connection.execute(query, list(values)).fetchall()
    connection.close()


@pytest.fixture
def copy(published: Path, tmp_path: Path) -> Path:
    """A published file of the test's own, in a home of its own."""
    file = tmp_path / "home" / "published" / "tokenboard.duckdb"
    file.parent.mkdir(parents=True)
    file.write_bytes(published.read_bytes())
    return file


@pytest.fixture
def run(world_home: Path, tmp_path: Path) -> Run:
    """The script, reading the world's published file."""

    def run(*arguments: str, home: Path = world_home, **more: str) -> subprocess.CompletedProcess[str]:
        env = {**TREE, "HOME": str(tmp_path), "TOKENBOARD_HOME": str(home), "COLUMNS": "60", **more}
        return tokenboard(*arguments, env=env, cwd=tmp_path)

    return run
