"""What there is to read at each provider, and how. A report's name is its landing folder and, after the
provider's name, its raw table: openai's `costs` fills raw.openai_costs.

`other_usage.images` is a part of a report: parts have landings and source days of their own and share a table.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from tokenboard_etl.extraction.bodies import replay
from tokenboard_etl.extraction.shares import due
from tokenboard_etl.landing import Landing
from tokenboard_etl.periods import Window, utc_day
from tokenboard_etl.providers import (
    openai,
    openai_accounts,
    openai_entities,
    openai_usage,
    openrouter,
    openrouter_by_key,
)
from tokenboard_etl.providers.openai_entities import Project
from tokenboard_etl.providers.wire import Fetch


@dataclass(frozen=True)
class Reading:
    """What reading a report has at hand. `lists` are the landings it is read with: `keys`, `keys_before`.

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

    A snapshot says how things stand now and has no days. `uses` names snapshots it is read with, `uses_before` those
    it compares with how they stood when the window began: there may be none that old. An `optional` one
    may be refused (403), or not exist there (404): then it is unavailable, with the reason, and nothing fails.
    `mode` is the kind of connection that can read it. One that `reads_on` asks for what came after its last landing.
    """

    provider: str
    name: str
    read: Callable[[Reading], Awaitable[Days]]
    is_snapshot: bool = False
    uses: tuple[str, ...] = ()
    uses_before: tuple[str, ...] = ()
    optional: bool = False
    mode: str = "organization"
    reads_on: bool = False


async def _projects(reading: Reading) -> Days:
    await openai_entities.projects(reading.fetch)
    return None


def _of_projects(read: Callable[[Fetch, Sequence[Project]], Awaitable[None]]) -> Callable[[Reading], Awaitable[Days]]:
    """Reads something of each project that is due today."""

    async def read_due(reading: Reading) -> Days:
        known = await openai_entities.projects(replay(reading.lists["projects"]))
        await read(reading.fetch, due(known, utc_day(reading.began_at)))
        return None

    return read_due


async def _admin_keys(reading: Reading) -> Days:
    await openai_accounts.admin_keys(reading.fetch)
    return None


async def _costs(reading: Reading) -> Days:
    return await openai.costs(reading.fetch, reading.window)


async def _costs_total(reading: Reading) -> Days:
    return await openai.costs_total(reading.fetch, reading.window)


async def _completions(reading: Reading) -> Days:
    return await openai_usage.completions(reading.fetch, reading.window)


def _other_usage(endpoint: str) -> Callable[[Reading], Awaitable[Days]]:
    async def read(reading: Reading) -> Days:
        return await openai_usage.other_usage(reading.fetch, endpoint, reading.window)

    return read


async def _keys(reading: Reading) -> Days:
    await openrouter.check_key(reading.fetch)
    await openrouter.keys(reading.fetch)
    return None


async def _credits(reading: Reading) -> Days:
    await openrouter.credits(reading.fetch)
    return None


async def _analytics(reading: Reading) -> Days:
    wanted = await _moved_keys(reading) if openrouter_by_key.is_short(reading.window) else await _all_keys(reading)
    days = await openrouter.analytics(reading.fetch, reading.window, wanted)
    await openrouter.refuse_taken_names(reading.fetch, wanted)
    return days


async def _all_keys(reading: Reading) -> list[openrouter.KeyRef]:
    return await openrouter.keys(replay(reading.lists["keys"]))


async def _moved_keys(reading: Reading) -> list[openrouter.KeyRef]:
    newest, before = reading.lists["keys"], reading.lists.get("keys_before")
    return openrouter_by_key.moved(
        await openrouter.key_list(replay(newest)),
        newest.started_at,
        await openrouter.key_list(replay(before)) if before else {},
        reading.window,
    )


async def _analytics_total(reading: Reading) -> Days:
    return await openrouter.analytics_total(reading.fetch, reading.window)


async def _activity(reading: Reading) -> Days:
    return await openrouter.activity(reading.fetch, reading.window, reading.began_at)


async def _activity_by_key(reading: Reading) -> Days:
    wanted = await _moved_keys(reading)
    return await openrouter_by_key.activity_by_key(reading.fetch, reading.window, reading.began_at, wanted)


async def _credit_grants(reading: Reading) -> Days:
    await openai_accounts.credit_grants(reading.fetch)
    return None


_ALL = (
    Report("openai", "projects", _projects, is_snapshot=True, optional=True),
    Report("openai", "admin_keys", _admin_keys, is_snapshot=True, optional=True),
    *(
        Report("openai", name, _of_projects(read), is_snapshot=True, uses=("projects",), optional=True)
        for name, read in (
            ("service_accounts", openai_entities.service_accounts),
            ("project_keys", openai_entities.project_keys),
            ("spend_limits", openai_entities.spend_limits),
        )
    ),
    Report("openai", "costs", _costs),
    Report("openai", "costs_total", _costs_total),
    Report("openai", "completions", _completions),
    *(
        Report("openai", f"other_usage.{endpoint}", _other_usage(endpoint), optional=True)
        for endpoint in openai_usage.OTHER_USAGE
    ),
    Report("openai", "credit_grants", _credit_grants, is_snapshot=True, optional=True, mode="personal"),
    Report("openrouter", "keys", _keys, is_snapshot=True),
    Report("openrouter", "credits", _credits, is_snapshot=True),
    Report("openrouter", "analytics", _analytics, uses=("keys",), uses_before=("keys",)),
    Report("openrouter", "analytics_total", _analytics_total),
    Report("openrouter", "activity", _activity),
    Report("openrouter", "activity_by_key", _activity_by_key, uses=("keys",), uses_before=("keys",)),
)

REPORTS: Mapping[tuple[str, str], Report] = {(report.provider, report.name): report for report in _ALL}
"""Every report by provider and name."""

SNAPSHOTS = frozenset(report.name for report in _ALL if report.is_snapshot)
"""Names of the reports that have no days."""


def reports_of(provider: str, *, snapshots: bool) -> tuple[Report, ...]:
    """A provider's snapshots, or its reports by day."""
    return tuple(report for report in _ALL if report.provider == provider and report.is_snapshot is snapshots)
