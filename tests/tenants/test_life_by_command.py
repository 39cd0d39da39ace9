"""The real commands about tenants' accounts, in the order of a life: offboarded, invoiced, then what nobody owns yet.

All figures of this home come from one last reading.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.commands import tokenboard
from tokenboard_etl.periods import Month
from tokenboard_etl.providers.sandbox.server import RunningSandbox, running_sandbox

NOW = datetime(2026, 6, 10, 2, tzinfo=UTC)
MAY = Month(2026, 5)
GONE, NEXT = "northwind-analytics", "contoso"
POLICY = """
margins:
  - {id: all, multiplier: 1.5, from: 2024-01-01}
budgets:
  - {id: contoso, tenant: contoso, usd: 100, push: true, from: 2024-01-01}
"""

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Ended:
    status: int
    out: str
    err: str


@dataclass(frozen=True)
class Office:
    """A home, its providers, and the script."""

    home: Path
    sandbox: RunningSandbox

    def run(self, *arguments: str, stdin: str = "") -> Ended:
        env = {
            "PATH": os.environ["PATH"],
            **self.sandbox.env(),
            "TOKENBOARD_HOME": str(self.home),
            "TOKENBOARD_NOW": NOW.isoformat(),
            "TOKENBOARD_ENCRYPTION_KEY": base64.b64encode(bytes([7]) * 32).decode(),
            "TOKENBOARD_POLICY": str(self.home.parent / "policy.yaml"),
            "TOKENBOARD_LOOKBACK_DAYS": "39",  # as far as the first of May
            "COLUMNS": "200",
        }
        ended = tokenboard(*arguments, env=env, cwd=self.home.parent, stdin=stdin)
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def ask(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with duckdb.connect(self.home / "published" / "tokenboard.duckdb", read_only=True) as published:
            return published.execute(query, list(values)).fetchall()

    def unallocated(self) -> list[dict[str, str]]:
        ended = self.run("unallocated", "--json")
        assert (ended.status, ended.err) == (0, "")
        found: list[dict[str, str]] = json.loads(ended.out)
        return found


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """A tenant with accounts and one without are registered; the first one is offboarded, and May is closed."""
    folder = tmp_path_factory.mktemp("office")
    with running_sandbox(now=NOW, analytics_per_minute=None) as sandbox:
        head, *rows = sandbox.world.tenants_csv().splitlines()
        (folder / "tenants.csv").write_text(
            "\n".join([head, *(row for row in rows if row.startswith(GONE)), f"{NEXT},Contoso of old" + "," * 7]) + "\n"
        )
        (folder / "policy.yaml").write_text(POLICY)
        office = Office(folder / "home", sandbox)
        for command in (("import", "tenants.csv"), ("offboard", GONE)):
            ended = office.run("tenants", *command)
            assert (ended.status, ended.err) == (0, "")
        yield office


def spent(office: Office, since: date) -> dict[str, Fraction]:
    """What each account has cost from a day to yesterday, as the world has it now; by project id or key hash."""
    world, found = office.sandbox.world, dict[str, Fraction]()
    for number in range((NOW.date() - since).days):
        day = date.fromordinal(since.toordinal() + number)
        for cost in world.openai_costs(world.organizations[0].id, day, NOW):
            exactly = Fraction(cost.amount_usd.quantize(Decimal("1e-18"), ROUND_HALF_UP))
            found[cost.project_id or ""] = found.get(cost.project_id or "", Fraction(0)) + exactly
        for row in world.openrouter_spend(day, NOW):
            found[row.key_hash or ""] = found.get(row.key_hash or "", Fraction(0)) + Fraction(row.usage_usd)
    return found


def accounts(office: Office, tenant_id: str) -> list[str]:
    world = office.sandbox.world
    tenant = next(each for each in world.tenants if each.tenant_id == tenant_id)
    return [*tenant.openai_projects[world.organizations[0].id], *tenant.openrouter_keys]


def test_the_last_month_of_an_offboarded_tenant_is_invoiced_from_its_last_reading(office: Office) -> None:
    org, own = office.sandbox.world.organizations[0], accounts(office, GONE)
    projects, keys = office.sandbox.sandbox.organizations[org.id].projects, office.sandbox.sandbox.account.keys
    assert all(projects[each].archived_at is not None for each in own if each in projects)
    assert all(keys[each].is_disabled(NOW) for each in own if each in keys)
    ended = office.run("close", "2026-05", "--tenant", GONE)
    assert (ended.status, ended.err) == (0, "")
    assert len([*(office.home / "reports").rglob("INV-*.html")]) == 1
    all_of_may, june = spent(office, MAY.first), spent(office, date(2026, 6, 1))
    cost = sum((all_of_may[each] - june.get(each, Fraction(0)) for each in own), Fraction(0))
    ((charged, currency, total, accepted),) = office.ask(
        """
        SELECT (SELECT sum(cost_usd) FROM billing.charges WHERE tenant_id = $1 AND usage_date < '2026-06-01'),
            currency, total_minor, accepted_reason
        FROM billing.invoices WHERE tenant_id = $1 AND month = '2026-05'
        """,
        GONE,
    )
    assert Fraction(charged) == cost > 100
    assert (currency, accepted) == ("USD", None)
    assert abs(total - cost * 150) < 50  # each line is rounded to a cent


def test_what_nobody_owns_is_listed_oldest_first_and_gone_once_it_is_adopted(office: Office) -> None:
    listed, owned = office.unallocated(), accounts(office, GONE)
    truth = {account: cost for account, cost in spent(office, MAY.first).items() if cost and account not in owned}
    assert {each["account_id"] for each in listed} == truth.keys()
    assert {each["account_id"]: Fraction(each["cost_usd"]) for each in listed if each["account_id"]} == {
        account: cost for account, cost in truth.items() if account
    }
    assert sum(Fraction(each["cost_usd"]) for each in listed if not each["account_id"]) == truth[""]
    assert [each["first_day"] for each in listed] == sorted(each["first_day"] for each in listed)
    shown = office.run("unallocated")
    assert (shown.status, shown.err) == (0, "")
    assert all(account in shown.out for account in truth)

    project_id, *_, key_hash = accounts(office, "contoso-retail")
    for provider, account in (("openai", project_id), ("openrouter", key_hash)):
        adopted = office.run("tenants", "adopt", NEXT, "--provider", provider, "--account", account)
        assert (adopted.status, adopted.err) == (0, "")
        assert account in adopted.out
        again = office.run("tenants", "adopt", GONE, "--provider", provider, "--account", account)
        assert (again.status, again.out) == (2, "")
        assert f"belongs to {NEXT}" in again.err
    assert {each["account_id"] for each in office.unallocated()} == truth.keys() - {project_id, key_hash}
    costs = office.ask("SELECT account_id, sum(cost_usd) FROM billing.charges WHERE tenant_id = $1 GROUP BY 1", NEXT)
    assert {account: Fraction(cost) for account, cost in costs} == {
        each: truth[each] for each in (project_id, key_hash)
    }

    told = office.run("usage", NEXT, "--json")
    assert (told.status, told.err) == (0, "")
    assert {each["account_id"] for each in json.loads(told.out)} == {project_id, key_hash}
    june = spent(office, date(2026, 6, 1))
    ours = {each["account_id"]: Fraction(each["ours"]["month_usd"]) for each in json.loads(told.out)}
    assert ours == {each: june[each] for each in (project_id, key_hash)}

    key = office.sandbox.sandbox.account.keys[key_hash]
    before = key.limit
    dry = office.run("budgets", "push", "--dry-run")
    assert (dry.status, dry.err, key.limit) == (0, "", before)
    pushed = office.run("budgets", "push", "--tenant", NEXT)
    assert (pushed.status, pushed.err) == (0, "")
    assert pushed.out == dry.out
    assert (key.limit, key.limit_reset) == (Decimal("66.66"), "monthly")  # 100 / 1.5, cut to whole cents
    refused = office.run("budgets", "push", "--tenant", "nobody")
    assert (refused.status, refused.out) == (2, "")


def test_a_key_from_stdin_tells_about_itself_and_is_not_repeated(office: Office) -> None:
    key = next(key for key in office.sandbox.world.account.keys if key.limit_usd)
    shown = office.run("usage", "--key-from-stdin", stdin=f"{key.value}\n")
    assert (shown.status, shown.err) == (0, "")
    assert f"{Decimal(key.limit_usd):,.2f}" in shown.out
    for wrong in ("sk-or-v1-SANDBOX-nobodysKey0123456789", "sk-or-v1-cut", "", key.value[:-1]):
        refused = office.run("usage", "--key-from-stdin", stdin=wrong)
        assert (refused.status in (1, 2), refused.out) == (True, "")
        assert not wrong or wrong not in refused.err
