"""Credit of personal OpenAI accounts: what is spent is told apart from top-ups and from rests that expire."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from examples import examples
from tokenboard_etl.connections import connections
from tokenboard_etl.extraction import REPORTS, Undertaking, extract_all
from tokenboard_etl.http import Answer
from tokenboard_etl.landing import Landing, begin
from tokenboard_etl.periods import Window
from tokenboard_etl.providers.sandbox.openai_billing import spent_on
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.providers.wire import Request
from tokenboard_etl.settings import load_settings
from tokenboard_etl.warehouse.load import load_landing
from tokenboard_etl.warehouse.models import build_models
from tokenboard_etl.warehouse.rebuild import rebuild

ACCOUNT = "openai-personal"
GRANTS = {"credit_grants"}
TABLES = ("balances", "grants", "personal_spend")


@pytest.fixture
def session(sandbox: RunningSandbox) -> str:
    return sandbox.world.session_tokens[sandbox.world.organizations[0].id]


def spend(warehouse: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    return warehouse.execute(
        "SELECT usage_date, spend_usd, uncertain_usd, span_days FROM credits.personal_spend ORDER BY 1"
    ).fetchall()


def test_spend_is_what_the_sandbox_spent_over_a_top_up_an_expiry_and_a_missed_night(
    sandbox: RunningSandbox, night: Any, warehouse: duckdb.DuckDBPyConnection, session: str
) -> None:
    """A grant is bought on 1 July, one expires on 2 July with a rest, one of 1 April leaves the list in between."""
    nights = [datetime(2026, 6, 28, 2, tzinfo=UTC) + timedelta(days=number) for number in (0, 1, 2, 4, 5, 6, 7)]
    for now in nights:
        night(now, None, "openai", GRANTS, OPENAI_PERSONAL_KEY=session)
    org_id, seed = sandbox.world.organizations[0].id, sandbox.world.seed

    def ledger(now: datetime) -> Decimal:
        """Everything ever spent, from the draws themselves."""
        days = (date(2026, 1, 1) + timedelta(days=number) for number in range((now.date() - date(2026, 1, 1)).days + 1))
        return Decimal(sum(spent_on(seed, org_id, day, now) for day in days)).scaleb(-4)

    expected: list[tuple[Any, ...]] = [(nights[0].date() - timedelta(days=1), None, None, None)]
    for before, now in pairwise(nights):
        span = (now - before).days
        expected.append((now.date() - timedelta(days=1), ledger(now) - ledger(before), 0, span))
    assert spend(warehouse) == expected
    balances = warehouse.execute(
        """
        SELECT snapshot_date, granted_usd, used_usd, available_usd, unavailable_reason, span_days
        FROM credits.balances WHERE connection_id = $1 ORDER BY 1
        """,
        [ACCOUNT],
    ).fetchall()
    assert len(balances) == len(nights)
    assert all(reason is None for *_, reason, _ in balances)
    sums = warehouse.execute(
        """
        SELECT snapshot_date, sum(granted_usd), sum(used_usd), sum(available_usd)
        FROM credits.grants GROUP BY 1 ORDER BY 1
        """
    ).fetchall()
    assert sums == [row[:4] for row in balances]
    assert warehouse.execute("SELECT DISTINCT expired FROM credits.grants ORDER BY 1").fetchall() == [(False,), (True,)]
    assert warehouse.execute("SELECT count(*) FROM billing.charges").fetchall() == [(0,)]


def test_a_refused_snapshot_is_unknown_with_the_reason_and_never_zero(
    night: Any, warehouse: duckdb.DuckDBPyConnection, session: str
) -> None:
    nights = [datetime(2026, 5, day, 2, tzinfo=UTC) for day in (4, 5, 6)]
    night(nights[0], None, "openai", GRANTS, OPENAI_PERSONAL_KEY=session)
    night(nights[1], None, "openai", GRANTS, OPENAI_PERSONAL_KEY="sk-an-old-user-key")
    tonight = night(nights[2], None, "openai", GRANTS, OPENAI_PERSONAL_KEY=session)
    rows = warehouse.execute(
        """
        SELECT snapshot_date, used_usd IS NULL, granted_usd IS NULL, available_usd IS NULL, span_days,
            unavailable_reason
        FROM credits.balances ORDER BY 1
        """
    ).fetchall()
    assert [row[:5] for row in rows] == [
        (nights[0].date(), False, False, False, None),
        (nights[1].date(), True, True, True, None),
        (nights[2].date(), False, False, False, 2),
    ]
    assert [reason for *_, reason in rows][::2] == [None, None]
    assert "must be made with a session key" in rows[1][-1]
    assert "sk-an-old-user-key" not in rows[1][-1]
    assert [(day, span) for day, _, _, span in spend(warehouse)] == [(date(2026, 5, 3), None), (date(2026, 5, 5), 2)]
    kept = {name: warehouse.execute(f"FROM credits.{name} ORDER BY ALL").fetchall() for name in TABLES}
    rebuild(warehouse, tonight.landing_path, tonight.now, 4)
    assert kept == {name: warehouse.execute(f"FROM credits.{name} ORDER BY ALL").fetchall() for name in TABLES}
    night(nights[1] + timedelta(hours=5), None, "openai", GRANTS, OPENAI_PERSONAL_KEY=session)
    told = warehouse.execute("SELECT count(*), count(used_usd) FROM credits.balances").fetchall()
    assert told == [(3, 3)], "told later on the same day"
    days = warehouse.execute("SELECT count(*) FROM ops.source_days WHERE report = 'credit_grants'").fetchall()
    assert days == [(0,)], "a snapshot has no days that could be missing"


def test_each_report_is_read_by_connections_of_its_mode_alone(
    sandbox: RunningSandbox, tmp_path: Path, session: str
) -> None:
    now = sandbox.sandbox.now()
    both = load_settings(
        **sandbox.env(), OPENAI_PERSONAL_KEY=session, TOKENBOARD_HOME=str(tmp_path), TOKENBOARD_NOW=now.isoformat()
    )
    assert [each.connection_id for each in connections(both)] == ["openai", "openrouter"]
    ours = [*connections(both, "openai"), *connections(both, "openai", mode="personal")]
    assert [each.connection_id for each in ours] == ["openai", ACCOUNT]
    about = Undertaking(Window.of_days(now.date(), now.date()), tmp_path, lambda: now)
    reports = [REPORTS["openai", "projects"], REPORTS["openai", "credit_grants"]]
    outcomes = asyncio.run(extract_all(ours, reports, about))
    read = {(each.connection_id, each.report) for each in outcomes if isinstance(each, Landing)}
    assert len(outcomes) == len(read)
    assert read == {("openai", "projects"), (ACCOUNT, "credit_grants")}


# --- against a ledger -----------------------------------------------------------------------------------------------

START = date(2026, 3, 1)


@dataclass
class Ledger:
    """The account's own books: what was truly spent, and what each grant shows after it."""

    grants: dict[str, list[Any]] = field(default_factory=dict)  # id: [granted, used, expires on, write off, drop]
    seen: set[str] = field(default_factory=set)

    def pay(self, day: date, amount: int) -> None:
        for grant in self.grants.values():
            if day < grant[2]:
                paid = min(amount, grant[0] - grant[1])
                grant[1] += paid
                amount -= paid

    def traceable(self, day: date) -> Fraction:
        """What was ever spent, without what was paid from grants that were gone before anybody saw them."""
        used = (g[1] for name, g in self.grants.items() if name in self.seen or not (g[4] and g[2] <= day))
        return Fraction(sum(used), 10_000)

    def shown(self, day: date) -> bytes:
        data = []
        for name, (granted, used, expires, writes_off, drops) in self.grants.items():
            if expires <= day and drops:
                continue
            if expires <= day and writes_off:
                used = granted
            self.seen.add(name)
            epoch = int(datetime(expires.year, expires.month, expires.day, tzinfo=UTC).timestamp())
            data.append(
                f'{{"id": "{name}", "grant_amount": {Decimal(granted).scaleb(-4):f},'
                f' "used_amount": "{Decimal(used).scaleb(-4):f}", "effective_at": 1, "expires_at": {epoch}.0}}'
            )
        totals = '"total_granted": 1, "total_used": 1, "total_available": 0'
        return f'{{{totals}, "grants": {{"data": [{", ".join(data)}]}}}}'.encode()


_grant = st.tuples(st.integers(1, 500_000), st.integers(1, 12), st.sampled_from(("stays", "written off", "dropped")))
_day = st.tuples(st.integers(0, 90_000), st.none() | _grant, st.booleans())


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_day, min_size=1, max_size=12))
def test_neither_an_expiry_nor_a_top_up_looks_like_spend(
    warehouse: duckdb.DuckDBPyConnection, tmp_path_factory: Any, days: Sequence[tuple[int, Any, bool]]
) -> None:
    for table in ("raw.openai_credit_grants", "ops.loads"):
        warehouse.execute(f"DELETE FROM {table}")
    root, ledger = tmp_path_factory.mktemp("landing"), Ledger()
    truth: dict[date, tuple[Fraction, bool]] = {}
    told: Fraction | None = None
    ambiguous = False
    for number, (amount, bought, is_told) in enumerate(days):
        day = START + timedelta(days=number)
        if bought:
            size, lasts, at_expiry = bought
            until = day + timedelta(days=lasts)
            ledger.grants[f"grant {number}"] = [size, 0, until, at_expiry == "written off", at_expiry == "dropped"]
        ambiguous |= any(expires == day for _, _, expires, *_ in ledger.grants.values())
        if is_told:
            now = datetime(day.year, day.month, day.day, tzinfo=UTC)
            window = Window.of_days(day, day)
            opened = begin(root, ACCOUNT, "openai", "credit_grants", window, now)
            opened.add(Request("openai", "/dashboard/billing/credit_grants"), Answer(200, ledger.shown(day), None), now)
            load_landing(warehouse, opened.complete(None, now))
            spent = ledger.traceable(day)
            if told is not None:
                truth[day - timedelta(days=1)] = (spent - told, ambiguous)
            told, ambiguous = spent, False
        ledger.pay(day, amount)
    build_models(warehouse, datetime(2026, 4, 1, tzinfo=UTC), 4)
    rows = [row for row in spend(warehouse) if row[1] is not None]
    assert {row[0] for row in rows} == truth.keys()
    for day, spend_usd, uncertain_usd, _ in rows:
        really, any_expired = truth[day]
        assert Fraction(spend_usd) <= really <= Fraction(spend_usd) + Fraction(uncertain_usd)
        if not any_expired:
            assert (Fraction(spend_usd), uncertain_usd) == (really, 0)
