"""Fixtures every test may use, and the guard that keeps all of them on this machine."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import duckdb
import hypothesis
import pytest

from chaos.report import Line, Report, as_table
from examples import AT_LENGTH
from fuzzing.clear import INPUTS, Outcomes
from fuzzing.clear import as_table as inputs_as_table
from tokenboard_etl.closing import bring_up_to_date
from tokenboard_etl.connections import connections
from tokenboard_etl.extraction import Failure, Undertaking, extract_all, reports_of
from tokenboard_etl.landing import complete_landings
from tokenboard_etl.periods import Window, utc_day
from tokenboard_etl.providers.sandbox.server import RunningSandbox, running_sandbox
from tokenboard_etl.settings import Settings, load_settings
from tokenboard_etl.warehouse.connection import configure
from tokenboard_etl.warehouse.load import load_landing
from tokenboard_etl.warehouse.loads import loaded_ids
from tokenboard_etl.warehouse.migrations import migrate

ROOT = Path(__file__).parents[1]
CONTRACTS = ROOT.parent / "shared" / "contracts"

NOW = datetime(2026, 6, 15, 2, 0, tzinfo=UTC)
"""The night most tests play in."""

_CAMPAIGN = "campaign"
_FAILED = pytest.StashKey[bool]()


def _refuse_foreign_sockets(event: str, args: tuple[Any, ...]) -> None:
    """An audit hook: no test reaches beyond loopback, whatever library opens the socket."""
    if event not in ("socket.connect", "socket.sendto", "socket.getaddrinfo"):
        return
    address = args[0] if event == "socket.getaddrinfo" else args[1]
    host = address[0] if isinstance(address, tuple) else address
    if isinstance(host, bytes):
        host = host.decode(errors="replace")
    if host is None or (isinstance(address, str) and event != "socket.getaddrinfo"):  # a Unix socket
        return
    try:
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = str(host).endswith(".invalid")  # never resolves; a test of that asks for it
    if not local:
        raise PermissionError(f"a test tried to reach {host!r}; only loopback is allowed")


sys.addaudithook(_refuse_foreign_sockets)

hypothesis.settings.register_profile("unhurried", deadline=None)  # how long an example takes is no property of ours
hypothesis.settings.register_profile(AT_LENGTH, deadline=None, max_examples=500)
hypothesis.settings.load_profile("unhurried")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests begin first: at the end, no worker is alone with one while the others have nothing left."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remembers what the table of the campaigns has to count."""
    made = yield
    item.stash[_FAILED] = item.stash.get(_FAILED, False) or made.failed
    return made


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Iterator[Report]:
    """Where a campaign adds its line; one that failed without a word is counted all the same."""
    lines: Report = []
    yield lines
    if request.node.stash.get(_FAILED, False) and not any(line.failures for line in lines):
        lines.append(Line(request.node.name, 1, 1, "ended before it could tell more"))
    request.node.user_properties += [(_CAMPAIGN, list(line)) for line in lines]  # comes home from every worker


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints what the campaigns did, and what became of spoiled inputs."""
    told = [each for reports in terminalreporter.stats.values() for each in reports]
    properties = [pair for each in told if getattr(each, "when", "") == "teardown" for pair in each.user_properties]
    outcomes = Outcomes()
    for reader, outcome, count in (told for name, told in properties if name == INPUTS):
        outcomes[reader, outcome] += count
    if outcomes:
        terminalreporter.section("inputs")
        for row in inputs_as_table(outcomes):
            terminalreporter.write_line(row)
    if lines := sorted(Line(*line) for name, line in properties if name == _CAMPAIGN):
        terminalreporter.section("campaigns")
        for line in as_table(lines):
            terminalreporter.write_line(line)


@pytest.fixture(autouse=True)
def _no_configuration_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A test sees no variable and no .env file of whoever runs it."""
    for name in Settings.model_fields.values():
        aliases = getattr(name.validation_alias, "choices", [name.validation_alias])
        for alias in aliases:
            monkeypatch.delenv(str(alias), raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def _shared_sandbox() -> Iterator[RunningSandbox]:
    """Without the limit of queries a minute, which goes by the real clock: a test would wait for the ones before it."""
    with running_sandbox(now=NOW, analytics_per_minute=None) as running:
        yield running


@pytest.fixture
def sandbox(_shared_sandbox: RunningSandbox) -> Iterator[RunningSandbox]:
    """Both providers on loopback, at NOW, without faults."""
    yield _shared_sandbox
    _shared_sandbox.clear_faults()
    _shared_sandbox.set_clock(NOW)


@pytest.fixture
def settings(sandbox: RunningSandbox, tmp_path: Path) -> Settings:
    """Settings for a fresh home that talk to the sandbox, at NOW."""
    return load_settings(**sandbox.env(), TOKENBOARD_HOME=str(tmp_path / "home"), TOKENBOARD_NOW=NOW.isoformat())


class PriceServer(ThreadingHTTPServer):
    """Answers every GET with `body` and `status`."""

    body = b"{}"
    status = 200
    cut_short = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/prices.json"

    def offer(self, entries: dict[str, Any]) -> None:
        self.body = json.dumps(entries).encode()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, PriceServer)
        self.send_response(server.status)
        self.send_header("Content-Length", str(len(server.body) * (2 if server.cut_short else 1)))
        self.end_headers()
        self.wfile.write(server.body)

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


@pytest.fixture
def price_server() -> Iterator[PriceServer]:
    """A price file behind a real socket."""
    server = PriceServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


Reply = Callable[[str, str], tuple[int, bytes]]


@contextmanager
def provider_that_says(reply: Reply) -> Iterator[str]:
    """An HTTP server that answers (path, key) with a status and a body; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = reply(self.path, self.headers.get("Authorization", "").removeprefix("Bearer "))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


Night = Callable[..., Settings]


@pytest.fixture
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty warehouse in memory."""
    connection = duckdb.connect()
    configure(connection)
    migrate(connection)
    yield connection
    connection.close()


@pytest.fixture
def night(sandbox: RunningSandbox, tmp_path: Path, warehouse: duckdb.DuckDBPyConnection) -> Iterator[Night]:
    """Reads, loads and models some reports at an instant, without Dagster and without the limit of queries a minute.

    `home` names where landings are kept; `more` are further settings.
    """
    limit, sandbox.sandbox.analytics_per_minute = sandbox.sandbox.analytics_per_minute, None

    def read(
        now: datetime, window: Window | None, provider: str, names: set[str], home: str = "home", **more: str
    ) -> Settings:
        sandbox.set_clock(now)
        tonight = load_settings(
            **sandbox.env(), **more, TOKENBOARD_HOME=str(tmp_path / home), TOKENBOARD_NOW=now.isoformat()
        )
        ours = [*connections(tonight, provider), *connections(tonight, provider, mode="personal")]
        today = Window.of_days(utc_day(now), utc_day(now))
        for snapshots, days in ((True, today), (False, window or today)):
            wanted = [each for each in reports_of(provider, snapshots=snapshots) if each.name in names]
            about = Undertaking(days, tonight.landing_path, lambda: now)
            outcomes = asyncio.run(extract_all(ours, wanted, about))
            assert [each.error for each in outcomes if isinstance(each, Failure)] == []
            for report in wanted:
                known = loaded_ids(warehouse)
                for landing in complete_landings(tonight.landing_path, provider, report.name, without=known):
                    load_landing(warehouse, landing, tonight.settle_time)
        bring_up_to_date(warehouse, tonight)
        return tonight

    yield read
    sandbox.sandbox.analytics_per_minute = limit
