"""`tokenboard usage` against the sandbox's own books, for tenants whose accounts were imported."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from tests.commands import tokenboard
from tests.conftest import NOW
from tokenboard_etl.closing import republish
from tokenboard_etl.errors import KeyRefused, RegistryError, WrongUse
from tokenboard_etl.money import format_usd
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.settings import Settings, clean_key
from tokenboard_etl.tenants.live_usage import usage_of, usage_of_key
from tokenboard_etl.tenants.registry import Binding, Tenant, bind, save_tenant
from tokenboard_etl.warehouse.connection import open_warehouse

TODAY = NOW.date()


@pytest.fixture
def accounts(sandbox: RunningSandbox, settings: Settings) -> Iterator[tuple[str, str]]:
    """A project and a key that are acme's, published, before the first night."""
    org = sandbox.world.organizations[0]
    project_id = next(each.id for each in org.projects if each.name_on(TODAY) == "Contoso Retail")
    key = next(each for each in sandbox.world.account.keys if each.tenant_id == "contoso-retail")
    with open_warehouse(settings.warehouse_path) as warehouse:
        for tenant_id in ("acme", "idle"):
            save_tenant(warehouse, Tenant(tenant_id, tenant_id, None, None, "USD", None), {}, NOW)
        bind(warehouse, Binding("acme", "openai", "project", project_id, date(2024, 1, 1)), NOW)
        bind(warehouse, Binding("acme", "openrouter", "key", key.hash, date(2024, 1, 1)), NOW)
        republish(warehouse, settings)
    sandbox.sandbox.organizations[org.id].projects[project_id].budget.limit_cents = 123_456
    listed = sandbox.sandbox.account.keys[key.hash]
    listed.limit, listed.limit_reset = Decimal(100_000), "monthly"
    yield project_id, key.hash
    sandbox.reset()


def test_limits_and_figures_are_those_of_the_providers_now(
    sandbox: RunningSandbox, settings: Settings, accounts: tuple[str, str]
) -> None:
    openai, router = usage_of(settings, "acme")
    assert (openai.account_id, router.account_id) == accounts
    assert (openai.limit_usd, openai.reset) == (Decimal("1234.56"), "month")
    assert openai.theirs.month_usd is not None
    assert openai.remaining_usd == max(Decimal(0), Decimal("1234.56") - openai.theirs.month_usd)
    midnight = datetime(TODAY.year, TODAY.month, TODAY.day, tzinfo=UTC)
    starts = (TODAY, midnight.date(), TODAY.replace(day=1))  # the 15th of June 2026 is a Monday
    spent = [sandbox.world.openrouter.spent(accounts[1], start, NOW).usage_usd for start in starts]
    theirs = (router.theirs.today_usd, router.theirs.week_usd, router.theirs.month_usd)
    assert theirs == tuple(Decimal(usd).quantize(Decimal("1e-18")) for usd in spent)
    assert router.limit_usd is not None
    assert router.remaining_usd is not None
    assert router.spent_usd == router.limit_usd - router.remaining_usd
    assert {each.ours.month_usd for each in (openai, router)} == {None}  # no night yet: unknown, not zero


def test_a_provider_that_fails_keeps_the_other_ones_figures(
    sandbox: RunningSandbox, settings: Settings, accounts: tuple[str, str]
) -> None:
    org_id = sandbox.world.organizations[0].id
    sandbox.sandbox.organizations[org_id].projects[accounts[0]].budget.limit_cents = None
    unlimited, _ = usage_of(settings, "acme")
    assert (unlimited.limit_usd, unlimited.remaining_usd, unlimited.problem) == (None, None, None)
    sandbox.add_fault("status", "/organization/costs", status=400)
    openai, router = usage_of(settings, "acme")
    assert openai.problem is not None
    assert openai.theirs.month_usd is None
    assert (router.problem, router.theirs.month_usd is None) == (None, False)
    with pytest.raises(RegistryError, match="no account"):
        usage_of(settings, "idle")
    with pytest.raises(WrongUse):
        usage_of(settings, "nobody")


def test_a_pipe_gets_every_id_and_amount_whole(
    sandbox: RunningSandbox, settings: Settings, accounts: tuple[str, str]
) -> None:
    env = {**sandbox.env(), "TOKENBOARD_HOME": str(settings.home), "TOKENBOARD_NOW": NOW.isoformat(), "COLUMNS": "60"}
    ended = tokenboard("usage", "acme", env=env, cwd=settings.home.parent)
    assert (ended.returncode, ended.stderr) == (0, "")
    head, *lines = ended.stdout.splitlines()
    assert head.split()[:4] == ["provider", "account", "limit", "spent"]
    assert tuple(line.split()[1] for line in lines) == accounts
    for line, each in zip(lines, usage_of(settings, "acme"), strict=True):
        amounts = (each.limit_usd, each.spent_usd, each.remaining_usd, each.theirs.today_usd, each.theirs.month_usd)
        assert {format_usd(amount) for amount in amounts if amount is not None} <= set(line.split())


def test_a_key_tells_about_itself_and_is_not_shown(sandbox: RunningSandbox, settings: Settings, tmp_path: Path) -> None:
    seeded = next(key for key in sandbox.world.account.keys if key.limit_usd)
    found = usage_of_key(settings, clean_key(seeded.value))
    assert found.limit_usd == Decimal(seeded.limit_usd)
    with pytest.raises(KeyRefused):
        usage_of_key(settings, clean_key("sk-or-v1-nobody-0123456789"))
    with pytest.raises(WrongUse):
        usage_of_key(settings, clean_key("sk-proj-something-0123456789"))
    env = {"TOKENBOARD_HOME": str(tmp_path / "home"), **sandbox.env()}
    ended = tokenboard("usage", "--key-from-stdin", "--json", env=env, cwd=tmp_path, stdin=seeded.value)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert Decimal(json.loads(ended.stdout)[0]["limit_usd"]) == found.limit_usd
    assert seeded.value not in ended.stdout
