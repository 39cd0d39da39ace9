"""One report of one connection over one window, from the provider into a complete landing."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tokenboard_etl.connections import Connection
from tokenboard_etl.errors import (
    ClockWrong,
    KeyRefused,
    LandingDamaged,
    ProviderRejected,
    ProviderUnavailable,
    StorageFailed,
    TokenboardError,
)
from tokenboard_etl.extraction.bodies import parse
from tokenboard_etl.extraction.reports import Days, Reading, Report
from tokenboard_etl.http import Answer, Client
from tokenboard_etl.landing import (
    REJECTED,
    Landing,
    OpenLanding,
    begin,
    clear_failure,
    landing_of_runs,
    newest_landing,
    read_landing,
    write_failure,
)
from tokenboard_etl.periods import Window, start_of
from tokenboard_etl.progress import all_days, reading
from tokenboard_etl.providers.wire import Fetch, Request

log = logging.getLogger("tokenboard.extract")

Clock = Callable[[], datetime]

_BEFORE = "_before"


@dataclass(frozen=True)
class Undertaking:
    """What all extractions of a run share. Landings are kept under `root`.

    `run` names the run; `continues` names interrupted runs of the same work: what they landed whole is not
    downloaded again.
    """

    window: Window
    root: Path
    clock: Clock
    run: str = ""
    continues: Collection[str] = ()


async def land(connection: Connection, client: Client, report: Report, about: Undertaking) -> Landing:
    """Reads a report to its end, continuing an interrupted load of the same window.

    An error leaves no complete landing behind, only a note for whoever loads (`landing.failures`). What a later try
    can use stays; what it must not use (a body that cannot be understood, a key that was refused) is set aside,
    and the message names the folder.
    """
    account, name = connection.fingerprint, (connection.connection_id, report.name)
    done = landing_of_runs(about.root, *name, about.window, account, about.continues, about.clock())
    if done is not None:
        log.info("%s %s (%s): landed before the interruption", *name, about.window)
        return done
    try:
        with reading(" ".join(name), about.window):
            done = await _land(connection, client, report, about)
    except TokenboardError as error:
        leave_out(connection, report, about, error)
        raise
    clear_failure(about.root, *name)
    over = all_days(" ".join(name), about.window)
    log.info("landed %s %s (%s): %d page(s)", *name, about.window, len(done.pages), extra={**over, **done.facts})
    return done


def leave_out(connection: Connection, report: Report, about: Undertaking, error: TokenboardError) -> None:
    """Leaves a note of what keeps a report from being read, for whoever loads."""
    name = connection.connection_id, report.name
    write_failure(about.root, *name, about.window, about.run, about.clock(), error)


async def _land(connection: Connection, client: Client, report: Report, about: Undertaking) -> Landing:
    opened = begin(
        about.root,
        connection.connection_id,
        connection.provider,
        report.name,
        about.window,
        about.clock(),
        account=connection.fingerprint,
        uses=_lists_for(about, connection.connection_id, report),
        run=about.run,
    )
    try:
        lists = {
            role: read_landing(opened.folder.parents[1] / role.removesuffix(_BEFORE) / load)
            for role, load in opened.uses.items()
        }
    except FileNotFoundError:  # an interrupted load, whose lists were pruned since: it begins anew
        opened.reject()
        return await _land(connection, client, report, about)
    try:
        missing = next((f"{name}: {each.unavailable}" for name, each in lists.items() if each.unavailable), None)
        if missing:
            return opened.complete(_no_days(report), about.clock(), unavailable=missing)
        fetch = _landing_fetch(client, opened, about.clock)
        previous = newest_landing(about.root, connection.connection_id, report.name) if report.reads_on else None
        reading = Reading(fetch, about.window, opened.started_at, lists, previous)
        days = await report.read(reading)
        _name_unconfirmed_days(connection, report, about.window, days)
        return opened.complete(days, about.clock())
    except (KeyRefused, ProviderRejected) as error:
        said = connection.advise(error) if isinstance(error, KeyRefused) else error
        if report.optional and _is_unavailable(error):
            log.warning("%s %s is unavailable: %s", connection.connection_id, report.name, said)
            return opened.complete(_no_days(report), about.clock(), unavailable=str(said))
        _set_aside(opened, said)
        raise said from None
    except TokenboardError as error:
        if not isinstance(error, ProviderUnavailable | StorageFailed | ClockWrong):
            _set_aside(opened, error)
        raise
    finally:
        opened.close()


def _is_unavailable(error: KeyRefused | ProviderRejected) -> bool:
    """The key lacks a permission, or there is no such report. A key nobody knows (401) is wrong for everything."""
    if isinstance(error, ProviderRejected):
        return error.status == 404
    return not error.reason.startswith("HTTP 401") or re.search("permission|scope", error.reason) is not None


def _no_days(report: Report) -> Days:
    return None if report.is_snapshot else frozenset()


def _set_aside(opened: OpenLanding, error: TokenboardError) -> None:
    folder = opened.reject()
    if not isinstance(error, KeyRefused) and folder.suffix == REJECTED:
        error.args = (f"{error} The answer is kept in {folder}.",)


def _lists_for(about: Undertaking, connection_id: str, report: Report) -> dict[str, str]:
    """The loads a report is read with: `keys` the newest, `keys_before` the newest whole one when the window began.

    A list read while the clock was ahead is not the newest: it would lack what was made since. It is better than none.
    """
    found = {}
    for name in report.uses:
        newest = newest_landing(about.root, connection_id, name, finished_by=about.clock())
        newest = newest or newest_landing(about.root, connection_id, name)
        if newest is None:
            raise LandingDamaged(f"No list of {connection_id} {name} was landed; read that report first.")
        found[name] = newest.load_id
    for name in report.uses_before:
        before = newest_landing(about.root, connection_id, name, finished_by=start_of(about.window.start))
        if before is not None and before.unavailable is None:
            found[name + _BEFORE] = before.load_id
    return found


def _name_unconfirmed_days(connection: Connection, report: Report, window: Window, days: Days) -> None:
    """The provider left days out: they are not zero, they stay missing."""
    if days is None or report.name.startswith("activity"):  # activity ends 30 days back, and gates nothing
        return
    left_out = [str(day) for day in window.days() if day not in days]
    if left_out:
        log.warning(
            "%s %s said nothing about %d day(s), first %s; they stay missing",
            connection.connection_id,
            report.name,
            len(left_out),
            left_out[0],
        )


def _landing_fetch(client: Client, opened: OpenLanding, clock: Clock) -> Fetch:
    async def fetch(request: Request) -> Any:
        body = opened.find(request)
        if body is None:
            try:
                answer = await client.send(request)
            except ProviderRejected as refusal:
                if not _says_none(request, refusal):
                    raise
                answer = Answer(404, b"null", None)
            await asyncio.to_thread(opened.add, request, answer, clock())  # others are received meanwhile
            body = answer.body
        return parse(request, body)

    return fetch


def _says_none(request: Request, refusal: ProviderRejected) -> bool:
    """Whether a 404 means that nothing is set. In words of a wrong path, or in none, it means no such endpoint."""
    words = re.fullmatch(r"HTTP 404: (?!Invalid URL|Route not resolved).+", refusal.detail, re.DOTALL)
    return request.missing_is_none and words is not None
