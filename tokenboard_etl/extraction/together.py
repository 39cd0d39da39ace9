"""Many reports of many connections side by side: a client per connection, and slots per host."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tokenboard_etl.connections import Connection
from tokenboard_etl.errors import TokenboardError
from tokenboard_etl.extraction.extract import Clock, Undertaking, land, leave_out
from tokenboard_etl.extraction.reports import REPORTS, Report
from tokenboard_etl.extraction.same_account import refuse_another_account
from tokenboard_etl.http import CONCURRENT_REQUESTS
from tokenboard_etl.landing import Landing
from tokenboard_etl.periods import Window


@dataclass(frozen=True)
class Failure:
    """A report that could not be read."""

    connection: Connection
    report: Report
    error: TokenboardError


async def extract_all(
    connections: Sequence[Connection], reports: Sequence[Report], about: Undertaking
) -> list[Landing | Failure]:
    """Reads every report of every connection that can read it; one that fails keeps no other from being read.

    A report that uses a snapshot among `reports` is read after it. At most CONCURRENT_REQUESTS are under way at
    one host, however many accounts are read there.
    """
    slots: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(CONCURRENT_REQUESTS))
    async with AsyncExitStack() as stack:
        clients = {
            each.connection_id: await stack.enter_async_context(each.client(slots[urlsplit(each.base_url).netloc]))
            for each in connections
        }

        refused = dict[str, TokenboardError]()
        for each in connections:
            try:
                await refuse_another_account(each, clients[each.connection_id], about.root)
            except TokenboardError as error:
                refused[each.connection_id] = error

        async def attempt(connection: Connection, report: Report) -> Landing | Failure:
            if error := refused.get(connection.connection_id):
                leave_out(connection, report, about, error)
                return Failure(connection, report, error)
            try:
                return await land(connection, clients[connection.connection_id], report, about)
            except TokenboardError as error:
                return Failure(connection, report, error)

        outcomes: list[Landing | Failure] = []
        for later in (False, True):
            work = [
                attempt(connection, report)
                for connection in connections
                for report in reports
                if bool(report.uses) is later
                and (report.provider, report.mode) == (connection.provider, connection.mode)
            ]
            outcomes += await asyncio.gather(*work)
    return outcomes


async def extract(connection: Connection, report: str, window: Window, root: Path, clock: Clock) -> Landing:
    """Reads one report; raises what kept it from being read."""
    about = Undertaking(window, root, clock)
    [outcome] = await extract_all([connection], [REPORTS[connection.provider, report]], about)
    if isinstance(outcome, Failure):
        raise outcome.error
    return outcome
