"""What there is to read at each provider, and how. A report's name is its landing folder and, after the
provider's name, its raw table: openai's `costs` fills raw.openai_costs.

`other_usage.images` is a part of a report: parts have landings and source days of their own and share a table.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from tokenboard_etl.extraction.bodies import replay
from tokenboard_etl.landing import Landing
from tokenboard_etl.periods import Window
from tokenboard_etl.providers import openai, openrouter
from tokenboard_etl.providers.wire import Fetch


@dataclass(frozen=True)
class Reading:
    """What reading a report has at hand. `lists` are the landings of the reports it `uses`, by report.

    `previous` is the newest complete landing of this very report, for one that reads on from there.
    """

    fetch: Fetch
    window: Window
    began_at: datetime
    lists: Mapping[str, Landing]
    previous: Landing | None = None


Days = frozenset[date] | None
"""The days a provider confirmed; None for a snapshot."""


@dataclass(frozen=True)
class Report:
    """One report of a provider.

    A snapshot says how things stand now and has no days. `uses` names snapshots it is read with. An `optional` one
    may be refused (403), or not exist there (404): then it is unavailable, with the reason, and nothing fails.
    `mode` is the kind of connection that can read it. One that `reads_on` asks for what came after its last landing.
    """

    provider: str
    name: str
    read: Callable[[Reading], Awaitable[Days]]
    is_snapshot: bool = False
    uses: tuple[str, ...] = ()
    optional: bool = False
    mode: str = "organization"
    reads_on: bool = False


async def _projects(reading: Reading) -> Days:
    await openai.projects(reading.fetch)
    return None


async def _costs(reading: Reading) -> Days:
    return await openai.costs(reading.fetch, reading.window)


async def _costs_total(reading: Reading) -> Days:
    return await openai.costs_total(reading.fetch, reading.window)


async def _completions(reading: Reading) -> Days:
    return await openai.completions(reading.fetch, reading.window)


async def _keys(reading: Reading) -> Days:
    await openrouter.check_key(reading.fetch)
    await openrouter.keys(reading.fetch)
    return None


async def _credits(reading: Reading) -> Days:
    await openrouter.credits(reading.fetch)
    return None


async def _analytics(reading: Reading) -> Days:
    known = await openrouter.keys(replay(reading.lists["keys"]))
    days = await openrouter.analytics(reading.fetch, reading.window, known)
    await openrouter.refuse_taken_names(reading.fetch, known)
    return days


async def _analytics_total(reading: Reading) -> Days:
    return await openrouter.analytics_total(reading.fetch, reading.window)


async def _activity(reading: Reading) -> Days:
    return await openrouter.activity(reading.fetch, reading.window, reading.began_at)


_ALL = (
    Report("openai", "projects", _projects, is_snapshot=True),
    Report("openai", "costs", _costs),
    Report("openai", "costs_total", _costs_total),
    Report("openai", "completions", _completions),
    Report("openrouter", "keys", _keys, is_snapshot=True),
    Report("openrouter", "credits", _credits, is_snapshot=True),
    Report("openrouter", "analytics", _analytics, uses=("keys",)),
    Report("openrouter", "analytics_total", _analytics_total),
    Report("openrouter", "activity", _activity),
)

REPORTS: Mapping[tuple[str, str], Report] = {(report.provider, report.name): report for report in _ALL}
"""Every report by provider and name."""

SNAPSHOTS = frozenset(report.name for report in _ALL if report.is_snapshot)
"""Names of the reports that have no days."""


def reports_of(provider: str, *, snapshots: bool) -> tuple[Report, ...]:
    """A provider's snapshots, or its reports by day."""
    return tuple(report for report in _ALL if report.provider == provider and report.is_snapshot is snapshots)
