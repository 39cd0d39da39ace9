"""What an interruption or a bad answer leaves behind must not harm the next try."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import httpx
import pytest

from tokenboard_etl.connections import Connection, connections
from tokenboard_etl.errors import KeyRefused, ProviderUnavailable
from tokenboard_etl.extraction import extract
from tokenboard_etl.http import Answer, Client
from tokenboard_etl.landing import Landing, begin
from tokenboard_etl.periods import Window
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.providers.wire import Request
from tokenboard_etl.redaction import protect, redact
from tokenboard_etl.retention import prune
from tokenboard_etl.settings import Settings, load_settings
from tokenboard_etl.warehouse.connection import open_warehouse
from tokenboard_etl.warehouse.load import load_landing

WINDOW = Window(date(2026, 5, 10), date(2026, 6, 14))
"""More than 31 days, so that analytics is asked in two parts."""


class Failing(Client):
    """A real client whose provider is gone after so many requests."""

    left = 0

    async def send(self, request: Request) -> Answer:
        if self.left == 0:
            raise ProviderUnavailable(request.provider, request.endpoint, "gone")
        self.left -= 1
        return await super().send(request)


@dataclass(frozen=True)
class Interrupted(Connection):
    """A connection that is interrupted after `requests` requests."""

    requests: int = 0

    def client(self, slots: asyncio.Semaphore | None = None) -> Client:
        client = Failing(self.base_url, self.key, headers=self.headers, slots=slots)
        client.left = self.requests
        return client


@pytest.fixture
def openrouter(settings: Settings) -> Connection:
    (connection,) = connections(settings, "openrouter")
    return connection


@pytest.fixture
def renamed(sandbox: RunningSandbox) -> Iterator[httpx.Client]:
    """A client to rename keys with; the sandbox is made new afterwards."""
    headers = {"Authorization": f"Bearer {sandbox.world.management_key}"}
    with httpx.Client(base_url=sandbox.openrouter_base_url, headers=headers) as client:
        yield client
    sandbox.reset()


@pytest.mark.parametrize("requests", [2, 5])
def test_keys_that_change_between_two_tries_are_neither_doubled_nor_lost(
    sandbox: RunningSandbox, settings: Settings, openrouter: Connection, renamed: httpx.Client, requests: int
) -> None:
    """An interrupted analytics load goes on with the key list it began with, and counts no page twice."""

    def read(connection: Connection, report: str) -> None:
        landing = asyncio.run(extract(connection, report, WINDOW, settings.landing_path, lambda: settings.now))
        with open_warehouse(settings.warehouse_path) as warehouse:
            load_landing(warehouse, landing)

    read(openrouter, "keys")
    gone = Interrupted("openrouter", "openrouter", openrouter.base_url, openrouter.key, requests=requests)
    with pytest.raises(ProviderUnavailable):
        read(gone, "analytics")
    spender = next(row.key_hash for row in sandbox.world.openrouter_spend(WINDOW.start, settings.now) if row.key_hash)
    assert renamed.patch(f"keys/{spender}", json={"name": "a name of its own"}).status_code == 200
    read(openrouter, "keys")
    read(openrouter, "analytics")

    expected: dict[str | None, Decimal] = {}
    for day in WINDOW.days():
        for row in sandbox.world.openrouter_spend(day, settings.now):
            for owner in {row.key_hash, None}:
                expected[owner] = expected.get(owner, Decimal(0)) + row.usage_usd
    with duckdb.connect(settings.warehouse_path) as warehouse:
        sums = warehouse.execute("SELECT key_hash, sum(cost_usd) FROM raw.openrouter_analytics GROUP BY 1").fetchall()
    assert {key: cost for key, cost in sums if cost} == {key: cost for key, cost in expected.items() if cost}


def test_an_interrupted_load_goes_on_with_the_lists_of_keys_it_began_with(
    sandbox: RunningSandbox, settings: Settings, openrouter: Connection, renamed: httpx.Client
) -> None:
    """Other lists would ask for other keys, and of those it did not ask for the load would say they spent nothing."""
    window = Window(date(2026, 6, 13), date(2026, 6, 15))

    def read(connection: Connection, report: str, now: datetime) -> Landing:
        sandbox.set_clock(now)
        return asyncio.run(extract(connection, report, window, settings.landing_path, lambda: now))

    before = read(openrouter, "keys", settings.now - timedelta(days=3))
    newest = read(openrouter, "keys", settings.now)
    gone = Interrupted("openrouter", "openrouter", openrouter.base_url, openrouter.key, requests=2)
    with pytest.raises(ProviderUnavailable):
        read(gone, "analytics", settings.now)
    later = settings.now + timedelta(hours=1)
    made = renamed.post("keys", json={"name": "made meanwhile"}).json()["data"]["hash"]
    assert read(openrouter, "keys", later).load_id != newest.load_id
    landing = read(openrouter, "analytics", later)
    manifest = json.loads((landing.folder / "manifest.json").read_bytes())
    assert manifest["uses"] == {"keys": newest.load_id, "keys_before": before.load_id}
    assert manifest["started_at"] == settings.now.isoformat()
    asked_for = {key for page in landing.pages for key in page.context.get("key_names", {}).values()}
    assert len(asked_for) > 60
    assert made not in asked_for


def test_a_list_of_keys_read_while_the_clock_was_ahead_is_not_the_newest(
    settings: Settings, openrouter: Connection
) -> None:
    """By its name it would be for a month, and keys made in it would not be asked for."""

    def read(report: str, now: datetime) -> Landing:
        return asyncio.run(extract(openrouter, report, WINDOW, settings.landing_path, lambda: now))

    def list_used(now: datetime) -> str:
        uses = json.loads((read("analytics", now).folder / "manifest.json").read_bytes())["uses"]
        return str(uses["keys"])

    ahead, right = (read("keys", now).load_id for now in (settings.now + timedelta(days=31), settings.now))
    assert list_used(settings.now) == right
    assert list_used(settings.now - timedelta(days=3)) == ahead  # a clock that was set back knows of none before it


def test_an_interrupted_load_whose_lists_were_pruned_begins_anew(settings: Settings, openrouter: Connection) -> None:
    def read(connection: Connection, report: str) -> Landing:
        landing = asyncio.run(extract(connection, report, WINDOW, settings.landing_path, lambda: settings.now))
        with open_warehouse(settings.warehouse_path) as warehouse:
            load_landing(warehouse, landing)
        return landing

    pruned_later = read(openrouter, "keys")
    gone = Interrupted("openrouter", "openrouter", openrouter.base_url, openrouter.key, requests=2)
    with pytest.raises(ProviderUnavailable):
        read(gone, "analytics")
    newest = read(openrouter, "keys")
    with open_warehouse(settings.warehouse_path) as warehouse:
        prune(warehouse, settings.landing_path, 0, settings.now + timedelta(seconds=1))
    assert not pruned_later.folder.exists()
    manifest = json.loads((read(openrouter, "analytics").folder / "manifest.json").read_bytes())
    assert manifest["uses"] == {"keys": newest.load_id}


def test_a_key_that_was_refused_is_not_refused_from_disk_once_it_is_right(
    sandbox: RunningSandbox, settings: Settings, openrouter: Connection
) -> None:
    inference = next(
        key for key in sandbox.world.account.keys if key.disabled_on is None and key.created_at <= settings.now
    )
    wrong = load_settings(
        **{**sandbox.env(), "OPENROUTER_MANAGEMENT_KEY": inference.value},
        TOKENBOARD_HOME=str(settings.home),
        TOKENBOARD_NOW=settings.now.isoformat(),
    )
    with pytest.raises(KeyRefused):
        asyncio.run(
            extract(connections(wrong, "openrouter")[0], "keys", WINDOW, settings.landing_path, lambda: settings.now)
        )
    asyncio.run(extract(openrouter, "keys", WINDOW, settings.landing_path, lambda: settings.now))


def test_a_load_is_continued_only_with_the_account_it_began_with(settings: Settings, tmp_path: Path) -> None:
    request = Request("openai", "/organization/costs")
    first = begin(tmp_path, "openai", "openai", "costs", WINDOW, settings.now, account="one organization")
    first.add(request, Answer(200, b"{}", None), settings.now)
    first.close()
    other = begin(tmp_path, "openai", "openai", "costs", WINDOW, settings.now, account="another one")
    assert other.find(request) is None
    other.close()
    same = begin(tmp_path, "openai", "openai", "costs", WINDOW, settings.now, account="one organization")
    assert same.find(request) == b"{}"
    same.close()


def test_a_page_of_an_interrupted_try_that_nobody_asks_for_again_is_not_part_of_the_load(
    settings: Settings, tmp_path: Path
) -> None:
    old, new = Request("openrouter", "/keys", context={"n": 1}), Request("openrouter", "/keys", context={"n": 2})
    first = begin(tmp_path, "openrouter", "openrouter", "keys", WINDOW, settings.now)
    first.add(old, Answer(200, b"{}", None), settings.now)
    first.close()
    second = begin(tmp_path, "openrouter", "openrouter", "keys", WINDOW, settings.now + timedelta(hours=1))
    second.add(new, Answer(200, b"[]", None), settings.now)
    landing = second.complete(None, settings.now)
    assert [page.number for page in landing.pages] == [2]


def test_a_configured_key_is_blotted_out_whatever_it_looks_like() -> None:
    protect("PROXYTOKEN99887766")
    protect("sk-admin-abc.SECRETTAIL")
    said = redact("Incorrect key provided: PROXYTOKEN99887766, Bearer sk-admin-abc.SECRETTAIL; sk-proj-abcdefgh1234.")
    assert said == "Incorrect key provided: [redacted], Bearer [redacted]; sk-proj-[redacted]."
