"""Providers' answers, from the wire into the tables: landed and loaded, or refused at one of the two with a clear word.

Each report is read as a night reads it, from the sandbox's own answers, of which one is changed on its way.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chaos.few_tenants import sandbox_of_few_tenants
from fuzzing.clear import Outcomes, accepted_or_refused, inputs
from fuzzing.mutations import ANYTHING, Content, as_json, mutated, spoiled
from tokenboard_etl.connections import Connection, accounts
from tokenboard_etl.errors import ProviderRejected, TokenboardError
from tokenboard_etl.extraction import REPORTS, Failure, Undertaking, extract_all
from tokenboard_etl.http import Answer, Client
from tokenboard_etl.landing import Landing
from tokenboard_etl.periods import Window
from tokenboard_etl.providers.answers import Answers
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.providers.wire import Request
from tokenboard_etl.settings import load_settings
from tokenboard_etl.warehouse.checks import run_checks
from tokenboard_etl.warehouse.connection import configure
from tokenboard_etl.warehouse.load import load_landing
from tokenboard_etl.warehouse.migrations import migrate
from tokenboard_etl.warehouse.models import build_models

NOW = datetime(2026, 6, 15, 2, tzinfo=UTC)
DAYS = Window.of_days(date(2026, 6, 13), date(2026, 6, 14))
SETTLE_TIME = timedelta(days=4)
_LONG_LIST = 8
Told = dict[str, bytes | TokenboardError]
"""What was answered, by the fingerprint of the request."""


class Recorded(Client):
    """Answers what was recorded; what was not is asked of the server where there is one to ask."""

    told: Told
    asked: list[str]
    is_live = False

    async def send(self, request: Request) -> Answer:
        self.asked.append(request.fingerprint)
        if self.is_live and request.fingerprint not in self.told:
            try:
                self.told[request.fingerprint] = (await super().send(request)).body
            except TokenboardError as error:
                self.told[request.fingerprint] = error
        answer = self.told.get(request.fingerprint)
        if answer is None:
            raise ProviderRejected(request.provider, request.endpoint, "HTTP 404: no such page", status=404)
        if isinstance(answer, TokenboardError):
            raise answer
        return Answer(200, answer, "req_1")


@dataclass(frozen=True)
class RecordedConnection(Connection):
    told: Told = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    is_live: bool = False

    def client(self, slots: asyncio.Semaphore | None = None) -> Client:
        client = Recorded(self.base_url, self.key, headers=self.headers, slots=slots)
        client.told, client.asked, client.is_live = self.told, self.asked, self.is_live
        return client


@dataclass(repr=False)
class Nightly:
    """Every report once, as it was answered; and a clock that moves on a second with each further read."""

    root: Path
    warehouse: duckdb.DuckDBPyConnection
    connections: dict[str, Connection]
    told: Told = field(default_factory=dict)
    asked: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._seconds = count(1)

    def read(self, report: tuple[str, str], told: Told, *, is_live: bool = False) -> Landing:
        provider, _ = report
        known, asked = self.connections[provider], list[str]()
        connection = RecordedConnection(
            known.connection_id,
            provider,
            known.base_url,
            known.key,
            known.headers,
            known.mode,
            None,
            False,
            told,
            asked,
            is_live,
        )
        now = NOW + timedelta(seconds=next(self._seconds))
        [outcome] = asyncio.run(extract_all([connection], [REPORTS[report]], Undertaking(DAYS, self.root, lambda: now)))
        self.asked.setdefault(report, list(dict.fromkeys(asked)))
        if isinstance(outcome, Failure):
            raise outcome.error
        return outcome

    def load(self, landing: Landing) -> int:
        return load_landing(self.warehouse, landing, SETTLE_TIME, None, Answers(landing.provider))

    def figures(self) -> dict[str, Any]:
        """A checksum of every table but the record of loads."""
        names = self.warehouse.execute(
            "SELECT schema_name || '.' || table_name FROM duckdb_tables() "
            "WHERE schema_name IN ('raw', 'billing', 'ops') AND NOT temporary AND table_name <> 'loads'"
        ).fetchall()
        each = " UNION ALL ".join(f"SELECT '{name}', count(*), bit_xor(hash(t)) FROM {name} AS t" for (name,) in names)
        return {name: rest for name, *rest in self.warehouse.execute(each).fetchall()}


@pytest.fixture(scope="module")
def nightly(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nightly]:
    warehouse = duckdb.connect()
    configure(warehouse)
    migrate(warehouse)
    with sandbox_of_few_tenants(NOW) as sandbox:
        root = tmp_path_factory.mktemp("bodies") / "landing"
        made = Nightly(root, warehouse, _connections(sandbox, NOW))
        for report in BODIES:
            made.load(made.read(report, made.told, is_live=True))
    yield made
    warehouse.close()


def _connections(sandbox: RunningSandbox, now: datetime) -> dict[str, Connection]:
    settings = load_settings(**sandbox.env(), TOKENBOARD_NOW=now.isoformat())
    return {each.provider: each for each in accounts(settings)}


BODIES = tuple(
    key
    for key, report in sorted(REPORTS.items(), key=lambda item: not item[1].is_snapshot)
    if report.mode == "organization"
)


def shortened(tree: Any) -> Any:
    """The first few of each list: they are alike."""
    if isinstance(tree, dict):
        return {key: shortened(value) for key, value in tree.items()}
    return [shortened(each) for each in tree[:_LONG_LIST]] if isinstance(tree, list) else tree


@inputs(2_500, sample=30)
@given(st.data(), st.sampled_from(BODIES))
def test_an_answer_is_landed_and_loaded_or_refused_and_changes_nothing(
    nightly: Nightly, outcomes: Outcomes, data: st.DataObject, report: tuple[str, str]
) -> None:
    page = data.draw(st.sampled_from(nightly.asked[report]))
    body = nightly.told[page]
    tree = {} if isinstance(body, TokenboardError) else shortened(json.loads(body))
    changed = data.draw(
        st.one_of(spoiled(mutated(st.just(tree)).map(as_json)), spoiled(st.just(as_json(tree))), ANYTHING)
    )
    is_taken(nightly, outcomes, report, {**nightly.told, page: changed})


@pytest.mark.endurance
@inputs(100)
@given(st.data(), st.sampled_from(BODIES))
def test_what_was_loaded_can_be_modelled_and_checked(
    nightly: Nightly, outcomes: Outcomes, data: st.DataObject, report: tuple[str, str]
) -> None:
    """A figure that is taken, but that no sum can hold, would end every later night."""
    page = data.draw(st.sampled_from(nightly.asked[report]))
    body = nightly.told[page]
    assume(isinstance(body, bytes))
    tree = shortened(json.loads(body))
    changed = data.draw(mutated(st.just(tree)).map(lambda each: Content(as_json(each).encode())))
    if is_taken(nightly, outcomes, report, {**nightly.told, page: changed}):
        build_models(nightly.warehouse, NOW + timedelta(hours=4), SETTLE_TIME.days)
        assert run_checks(nightly.warehouse)
        outcomes["a night's models and checks", "done"] += 1


def is_taken(nightly: Nightly, outcomes: Outcomes, report: tuple[str, str], told: Told) -> bool:
    """Reads and loads a report; what is refused changes nothing."""
    provider, name = report
    before, landing, loaded = nightly.figures(), None, False
    reader = f"{provider} {name.partition('.')[0]}"
    with accepted_or_refused(outcomes, f"{reader}: landed", provider):
        landing = nightly.read(report, told)
    if landing is not None:
        with accepted_or_refused(outcomes, f"{reader}: loaded", provider):
            nightly.load(landing)
            loaded = True
    assert loaded or nightly.figures() == before
    for folder in (nightly.root / nightly.connections[provider].connection_id / name).iterdir():
        if folder.name.endswith(".rejected") or (landing is not None and folder == landing.folder):
            shutil.rmtree(folder)
    return loaded
