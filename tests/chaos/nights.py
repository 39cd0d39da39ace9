"""A hundred nights in a row with three month ends: as planned, or disturbed as a seed has it."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from assets.loading import load_pending
from assets.run import run_month_close, run_nightly
from chaos.command import Home, ended
from chaos.growth import Growth
from chaos.kills import REQUESTS, Moment, kill_at
from tokenboard_etl.closing import republish
from tokenboard_etl.connections import accounts
from tokenboard_etl.errors import TokenboardError
from tokenboard_etl.extraction import Undertaking, extract_all, reports_of
from tokenboard_etl.periods import Month, Window, utc_day
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.reports import write_reports
from tokenboard_etl.rereads import nightly_days
from tokenboard_etl.settings import Settings, load_settings
from tokenboard_etl.tenants.csv_import import import_tenants
from tokenboard_etl.warehouse.connection import open_warehouse

FIRST_NIGHT = datetime(2026, 4, 2, 2, tzinfo=UTC)
"""It reads the first of April, so that April, May and June can be closed."""

QUIET, TWICE, MISSED, FAULTS, BROKEN, KILLED, REPEATED = (
    "quiet",
    "run twice",
    "not run",
    "faults at 4 %",
    "ended by the provider",
    "killed",
    "killed and repeated",
)
TOO_LATE = "ended before the kill"
_WEIGHTS = {QUIET: 40, TWICE: 6, MISSED: 8, FAULTS: 14, BROKEN: 10, KILLED: 8, REPEATED: 8}
CAUGHT_UP = frozenset({QUIET, TWICE, FAULTS, REPEATED})
"""After such a night everything is as if no night before it had been disturbed."""

_OUTAGES, _OUTAGE_NIGHTS = 3, (6, 9)
"""Longer than the days a usual night reads."""

EARLY = {Month(2026, 4): datetime(2026, 5, 2, 6, tzinfo=UTC)}
"""Finance closes April before it has settled, so that May's invoices have corrections."""

_MOMENTS = {
    REQUESTS: 50,
    "load_openai_days": 1,
    "load_openrouter_days": 1,
    "models": 1,
    "identities": 1,
    "published__tokenboard": 1,
    "reports": 1,
}
"""What a process is killed after, and how often that comes in a night at the least."""

CLOSING = "close_month"
_LINGER_S = 0.8
_STAYS_BROKEN = (
    ("status", "/organization/costs", {"status": 400}),
    ("status", "/usage/completions", {"status": 400}),
    ("status", "/analytics/query", {"status": 400}),
    ("malformed", "/organization/costs", {"times": 1}),
)


@dataclass
class Nights:
    """The nights of one home, and what became of each. Equal seeds disturb equally.

    Without a seed nothing is disturbed, and nights do without Dagster: what a night is to come to is reckoned by the
    parts that its job is made of.
    """

    place: Home
    sandbox: RunningSandbox
    count: int
    seed: int | None = None
    did: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    growth: list[Growth] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.plan = list(self._plan())

    def night(self, number: int) -> str:
        """One night and the closings that follow it; returns what became of it."""
        now = FIRST_NIGHT + timedelta(days=number)
        tonight = self._at(now)
        if number == 0:
            self._register(tonight)
        became = self._night(self.plan[number], tonight)
        self.did[became] += 1
        for month, close_at in self._closings(now):
            self._close(month, self._at(close_at))
        self.growth.append(Growth.of(self.place))
        return became

    def _plan(self) -> list[str]:
        """What is done to each night; nothing to the first, which begins the figures, and to the last."""
        if self.seed is None:
            return [QUIET] * self.count
        drawn = random.Random(self.seed)
        kinds = drawn.choices([*_WEIGHTS], [*_WEIGHTS.values()], k=self.count)
        for _ in range(_OUTAGES):
            begins = drawn.randrange(1, self.count)
            for number in range(begins, min(self.count, begins + drawn.randint(*_OUTAGE_NIGHTS))):
                kinds[number] = MISSED
        kinds[0] = kinds[-1] = QUIET
        return kinds

    def _at(self, now: datetime) -> Settings:
        self.sandbox.set_clock(now)
        return load_settings(**{**self.place.env, "TOKENBOARD_NOW": now.isoformat()})

    def _register(self, settings: Settings) -> None:
        file = self.place.path.with_suffix(".csv")
        file.write_text(self.sandbox.world.tenants_csv())
        with open_warehouse(settings.warehouse_path) as warehouse:
            import_tenants(warehouse, file, settings.now)

    def _night(self, kind: str, tonight: Settings) -> str:
        """One night of a kind; returns what it turned out to be."""
        drawn = random.Random(f"{self.seed} {tonight.now}")
        if kind == FAULTS:
            self.sandbox.add_fault("any", probability=0.04, seed=drawn.randrange(1000))
        elif kind == BROKEN:
            fault, match, more = drawn.choice(_STAYS_BROKEN)
            self.sandbox.add_fault(fault, match, **more)
        elif kind in (KILLED, REPEATED) and not self._is_killed(drawn, tonight):
            kind = TOO_LATE
        if kind in (QUIET, TWICE, FAULTS, REPEATED, BROKEN):
            self._nightly(tonight, fails=kind == BROKEN)
        if kind == TWICE:
            self._nightly(tonight, fails=False)
        self.sandbox.clear_faults()
        return kind

    def _is_killed(self, drawn: random.Random, settings: Settings, *words: str) -> bool:
        """Starts the command and kills it; False if it had ended before."""
        sign = CLOSING if words else drawn.choice([*_MOMENTS])
        moment = Moment(sign, drawn.randint(1, _MOMENTS.get(sign, 1)), drawn.uniform(0, _LINGER_S))
        process = self.place.command(*(words or ("nightly",)), TOKENBOARD_NOW=settings.now.isoformat())
        if kill_at(moment, process, self.place, self.sandbox):
            return True
        if (end := ended(process)).status != 0:
            self.failures.append(f"{settings.now:%Y-%m-%d}: exit {end.status}: {end.err.strip()}")
        return False

    def _nightly(self, tonight: Settings, *, fails: bool) -> None:
        """The job of `tokenboard nightly` over the days the command would choose, in this process."""
        days = nightly_days(tonight, utc_day(tonight.now))
        if self.seed is None:
            _without_dagster(tonight, days)
            return
        try:
            run_nightly(tonight, days)
        except TokenboardError as error:
            if not fails:
                self.failures.append(f"{tonight.now:%Y-%m-%d}: {error}")
            return
        if fails:
            self.failures.append(f"{tonight.now:%Y-%m-%d}: a provider that stays broken did not end the night")

    def _closings(self, now: datetime) -> Iterator[tuple[Month, datetime]]:
        """The months that are closed in the hours after a night."""
        for month, early in EARLY.items():
            if early.date() == now.date():
                yield month, early
        if now.day == 5 and now > FIRST_NIGHT + timedelta(days=28):
            yield Month.of(now.date()).previous(), now.replace(hour=6)

    def _close(self, month: Month, settings: Settings) -> None:
        """Disturbed, the command is killed while it closes, and run again."""
        reason = {"accepted_reason": "finance cannot wait", "accepted_by": "finance"} if month in EARLY else {}
        words = ("--accept-provisional", reason["accepted_reason"], "--accepted-by", "finance") if reason else ()
        if self.seed is not None:
            drawn = random.Random(f"{self.seed} {month}")
            self.did["closings killed"] += self._is_killed(drawn, settings, "close", str(month), *words)
        run_month_close(settings, month, **reason)


def _without_dagster(settings: Settings, days: Window) -> None:
    today = Window.of_days(utc_day(settings.now), utc_day(settings.now))
    with open_warehouse(settings.warehouse_path) as warehouse:
        for provider in ("openai", "openrouter"):
            for window, reports in (
                (today, reports_of(provider, snapshots=True)),
                (days, reports_of(provider, snapshots=False)),
            ):
                about = Undertaking(window, settings.landing_path, lambda: settings.now)
                asyncio.run(extract_all(accounts(settings, provider), reports, about))
                load_pending(warehouse, settings, provider, [report.name for report in reports])
        republish(warehouse, settings)
    write_reports(settings)
