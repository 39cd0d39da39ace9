"""A saga that is killed at one of the points it passes: its calls, commits, renames of its vault, and what it lands.

The points are not listed anywhere: a run that only counts finds them. The process that dies is forked from a server
that has imported everything, so a trial takes a fraction of a second.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import signal
import sys
import urllib.request
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from decimal import Decimal
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import duckdb

from tokenboard_etl.connections import connections
from tokenboard_etl.http import Answer, Client
from tokenboard_etl.providers.wire import Request
from tokenboard_etl.settings import Settings, load_settings
from tokenboard_etl.tenants.provisioning.exchange import Exchange, Send
from tokenboard_etl.tenants.provisioning.orders import PENDING, PROVIDERS, orders, request_limit, request_rotation
from tokenboard_etl.tenants.provisioning.pushing import Wanted, push_through
from tokenboard_etl.tenants.provisioning.registering import Registration, register, register_file
from tokenboard_etl.tenants.provisioning.run import Provisioning
from tokenboard_etl.tenants.provisioning.standing import request_status
from tokenboard_etl.tenants.registry import ACTIVE, OFFBOARDED, SUSPENDED
from tokenboard_etl.warehouse.connection import open_warehouse

CALL, COMMIT, VAULT, LANDED = "call", "commit", "vault", "landed"
BEFORE, AFTER, LOST, LOST_AND_KILLED = "killed before", "killed after", "answer lost", "answer lost, then killed"
WAYS = {
    CALL: (BEFORE, AFTER, LOST, LOST_AND_KILLED),
    COMMIT: (BEFORE, AFTER),
    VAULT: (BEFORE, AFTER),
    LANDED: (BEFORE,),
}
"""Of a landing's files, after one is before the next, or before the commit of its load."""

PROVISION, ROTATE, LIMIT, PUSH = "provision", "rotate", "limit", "push budget"
SUSPEND, RESUME, OFFBOARD, MANY = "suspend", "resume", "offboard", "many"
EARLIER = {
    PROVISION: (),
    ROTATE: (PROVISION,),
    LIMIT: (PROVISION,),
    PUSH: (PROVISION,),
    SUSPEND: (PROVISION,),
    RESUME: (PROVISION, SUSPEND),
    OFFBOARD: (PROVISION,),
    MANY: (),
}
"""What was done before a scenario begins."""

STATUS = {SUSPEND: SUSPENDED, RESUME: ACTIVE, OFFBOARD: OFFBOARDED}
CHANGED_USD = {LIMIT: Decimal("350.5"), PUSH: Decimal("66.66")}
"""The limit that was 200 USD becomes this."""

REGISTRATION = Registration("Atlas & Co", industry="travel", billing_email="a@b.example", limit_usd=Decimal(200))
TENANT_ID = "atlas-co"
FILE = "tenants.csv"

_HANGS_AFTER_S = 1200
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tokenboard_etl.tenants.provisioning.run", "tokenboard_etl.closing", "multiprocessing"])


@dataclass(frozen=True)
class Point:
    """The n-th thing a saga does, and what happens to it there."""

    number: int
    kind: str
    what: str
    way: str = BEFORE


class Watch:
    """Counts what a saga does, and disturbs it at one point; None disturbs nothing."""

    def __init__(self, disturbed: Point | None, control_url: str) -> None:
        self.seen: list[Point] = []
        self._disturbed, self._control_url = disturbed, control_url
        self._renamed = False

    def begins(self, kind: str, what: str) -> str | None:
        """Notes that something is about to be done; returns the way it is to be disturbed after this."""
        self.seen.append(Point(len(self.seen), kind, what))
        if self._disturbed is None or self._disturbed.number != len(self.seen) - 1:
            return None
        if self._disturbed.way == BEFORE:
            die()
        return self._disturbed.way

    def sending(self, send: Send) -> Send:
        async def watched(request: Request) -> Answer:
            way = self.begins(CALL, request.endpoint)
            if way in (LOST, LOST_AND_KILLED):
                self._lose_answer(request)
            try:
                return await send(request)
            finally:
                if way in (AFTER, LOST_AND_KILLED):
                    die()

        return watched

    def files(self, path: Path) -> Callable[[str, tuple[Any, ...]], None]:
        """An audit hook: the vault is in place once its folder is opened to be flushed; a page when it is written."""
        way: list[str | None] = [None]

        def hook(event: str, args: tuple[Any, ...]) -> None:
            page = event == "open" and fnmatch(str(args[0]), "*/page-*.zst") and args[2] & os.O_ACCMODE == os.O_WRONLY
            manifest = event == "os.rename" and str(args[1]).endswith("/manifest.json")
            if (page or manifest) and self.begins(LANDED, "page" if page else "manifest") in (AFTER, LOST_AND_KILLED):
                die()  # several are read at a time, so the point with this number may be another one than it was
            elif event == "os.rename" and str(args[1]) == str(path):
                way[0], self._renamed = self.begins(VAULT, "rename"), True
            elif event == "open" and self._renamed and str(args[0]) == str(path.parent):
                self._renamed = False
                if way[0] == AFTER:
                    die()

        return hook

    def _lose_answer(self, request: Request) -> None:
        """Has the server do what is asked and hang up instead of answering: once, even if the client asks again."""
        rule = {"kind": "crash_after_create", "match": f"{request.method} ", "times": 1}
        asked = urllib.request.Request(
            self._control_url + "/_sandbox/faults",
            data=json.dumps(rule).encode(),
            headers={"Content-Type": "application/json"},
        )
        urllib.request.urlopen(asked, timeout=30).close()


class Watched:
    """A connection whose commits are counted."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, watch: Watch) -> None:
        self._connection, self._watch = connection, watch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def commit(self) -> None:
        way = self._watch.begins(COMMIT, "warehouse")
        self._connection.commit()
        if way == AFTER:
            die()


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def act(settings: Settings, scenario: str, watch: Watch) -> None:
    """A whole saga of the tenant, or of all tenants of a file, as the jobs run it, under watch."""
    with open_warehouse(settings.warehouse_path) as connection:
        warehouse: Any = Watched(connection, watch)
        if scenario == PROVISION:
            register(warehouse, REGISTRATION, settings.now)
        elif scenario == ROTATE:
            request_rotation(warehouse, TENANT_ID, settings.now)
        elif scenario == LIMIT:
            request_limit(warehouse, TENANT_ID, CHANGED_USD[LIMIT], settings.now)
        elif scenario in STATUS:
            request_status(warehouse, TENANT_ID, STATUS[scenario], settings.now)
        elif scenario == MANY:
            register_file(warehouse, settings.home / FILE, PROVIDERS, settings.now)
        asyncio.run(_carry_out(settings, warehouse, watch, scenario))


async def _carry_out(settings: Settings, warehouse: Any, watch: Watch, scenario: str) -> None:
    pending = dict.fromkeys(order.tenant_id for order in orders(warehouse, state=PENDING))
    async with AsyncExitStack() as stack:
        known = {}
        for each in connections(settings):
            client = await stack.enter_async_context(Client(each.base_url, each.key, sleep=at_once))
            known[each.connection_id] = Exchange(each.connection_id, each.provider, watch.sending(client.send), at_once)
        if scenario == PUSH:
            await push_through(known, warehouse, settings, _budgets(warehouse))
        provisioning = Provisioning(settings, known)
        for tenant_id in pending:
            await provisioning.provision(warehouse, tenant_id)


def _budgets(warehouse: duckdb.DuckDBPyConnection) -> list[Wanted]:
    """Both limits of the tenant, as the models want them after a night."""
    accounts = dict(warehouse.execute("SELECT provider, account_id FROM registry.accounts").fetchall())
    return [
        Wanted(TENANT_ID, each.provider, each.connection_id or "", accounts[each.provider], CHANGED_USD[PUSH], None)
        for each in orders(warehouse, TENANT_ID)
    ]


async def at_once(_seconds: float) -> None:
    """Instead of a wait."""


def _in_a_child(env: dict[str, str], scenario: str, disturbed: Point | None, control_url: str, told: Path) -> None:
    settings, watch = load_settings(**env), Watch(disturbed, control_url)
    sys.addaudithook(watch.files(settings.vault_path))
    act(settings, scenario, watch)
    told.write_text(json.dumps([[each.number, each.kind, each.what] for each in watch.seen]))


def run(env: dict[str, str], scenario: str, disturbed: Point | None, control_url: str, told: Path) -> int:
    """Runs a saga in a process of its own; returns its exit status, -9 if it was killed."""
    process = _FORKS.Process(target=_in_a_child, args=(env, scenario, disturbed, control_url, told))
    process.start()
    process.join(_HANGS_AFTER_S)
    if process.exitcode is None:
        process.kill()
        raise TimeoutError(f"{scenario} hangs at {disturbed}")
    return process.exitcode


def points(told: Path) -> list[Point]:
    """Everything a counting run passed, in every way it can be disturbed there."""
    seen = [Point(*each) for each in json.loads(told.read_text())]
    return [Point(each.number, each.kind, each.what, way) for each in seen for way in WAYS[each.kind]]
