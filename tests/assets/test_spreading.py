"""Four connections landed by four processes at the same time, over Postgres, while one writer loads."""

from __future__ import annotations

import base64
import os
import shutil
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import httpx
import pytest
from pydantic import SecretStr

from assets.definitions import definitions
from assets.loading import load_pending
from assets.partitions import PARTITION, RANGE_END, RANGE_START
from assets.resources import Surroundings
from assets.resumption import LANDING_JOB, NIGHT, interrupted_runs
from assets.spreading import connections_02_utc, night_after_connections
from deploy.services import DEPLOY, postgres, postgres_programs
from tests.commands import forked
from tokenboard_etl.connecting import connect
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.settings import load_settings
from tokenboard_etl.warehouse.connection import open_warehouse

NOW = datetime(2026, 6, 15, 2, tzinfo=UTC)
READ = ("projects", "costs", "costs_total")
NAMES = ["openai", "openai-2", "openai-personal", "openrouter"]


def scheduled(instance: dg.DagsterInstance) -> list[dg.RunRequest]:
    """What the schedule asks for. A context that the garbage collector closes would bring a dead instance back."""
    with dg.build_schedule_context(instance, NOW) as context:
        return list(connections_02_utc(context))


def asked(instance: dg.DagsterInstance) -> dg.RunRequest | dg.SkipReason:
    with dg.build_sensor_context(instance) as context:
        return night_after_connections(context)


def test_the_night_begins_once_every_connection_had_its_run_and_goes_on_from_those(
    sandbox: RunningSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**sandbox.env(), "TOKENBOARD_HOME": str(tmp_path / "home")}.items():
        monkeypatch.setenv(name, value)
    job = definitions(Surroundings()).resolve_job_def(LANDING_JOB)
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        assert isinstance(asked(instance), dg.SkipReason)
        ticked = scheduled(instance)
        assert [(each.partition_key, each.tags[NIGHT]) for each in ticked] == [
            ("openai", "2026-06-10/2026-06-14"),
            ("openrouter", "2026-06-10/2026-06-14"),
        ]
        assert instance.get_dynamic_partitions("connection") == ["openai", "openrouter"]
        runs = []
        for each, status in zip(ticked, (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.STARTED), strict=True):
            assert isinstance(asked(instance), dg.SkipReason), "not all have begun"
            tags = {**each.tags, PARTITION: str(each.partition_key)}
            runs.append(instance.create_run_for_job(job, tags=tags, status=status))
        assert isinstance(asked(instance), dg.SkipReason), "one has not ended"
        instance.report_run_failed(runs[1])
        night = asked(instance)
        assert isinstance(night, dg.RunRequest)
        assert (night.tags[RANGE_START], night.tags[RANGE_END]) == ("2026-06-10", "2026-06-14")
        begun = instance.create_run_for_job(
            definitions(Surroundings()).resolve_job_def("nightly"), tags=dict(night.tags)
        )
        context = SimpleNamespace(run=begun, instance=instance)
        assert interrupted_runs(context) == {each.run_id for each in (begun, *runs)}


class Gate:
    """Lets nobody in before all four have come, and `held` no further before it is let go."""

    def __init__(self, held: str) -> None:
        self.held, self.let_go = held, threading.Event()
        self._all_here = threading.Barrier(len(NAMES))
        self._passed = defaultdict[str, threading.Lock](threading.Lock)
        self._known = set[str]()

    def pass_through(self, key: str) -> None:
        with self._passed[key]:
            if key not in self._known:
                self._all_here.wait(120)
                self._known.add(key)
        if key == self.held:
            assert self.let_go.wait(120)


@contextmanager
def gated(sandbox: RunningSandbox, gate: Gate) -> Iterator[dict[str, str]]:
    """The sandbox behind a server that asks the gate first; yields its addresses."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            gate.pass_through(self.headers["Authorization"].removeprefix("Bearer "))
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            kept = {name: self.headers[name] for name in ("Authorization", "Content-Type") if name in self.headers}
            answer = beyond.request(self.command, self.path, headers=kept, content=body)
            self.send_response(answer.status_code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with (
        httpx.Client(base_url=f"http://127.0.0.1:{sandbox.port}", timeout=60) as beyond,
        ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server,
    ):
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        here = f"http://127.0.0.1:{server.server_port}"
        yield {"OPENAI_BASE_URL": f"{here}/openai/v1", "OPENROUTER_BASE_URL": f"{here}/openrouter/api/v1"}
        server.shutdown()


def land(environment: Mapping[str, str], connection_id: str, tags: Mapping[str, str]) -> None:
    """A worker: the run of one connection, in a process that has nothing but its environment."""
    os.environ.clear()
    os.environ.update(environment)
    with dg.DagsterInstance.from_config(environment["DAGSTER_HOME"]) as instance:
        job = definitions(Surroundings()).resolve_job_def(LANDING_JOB)
        job.execute_in_process(instance=instance, partition_key=connection_id, tags=dict(tags))


@pytest.mark.endurance  # four times Dagster's start
@pytest.mark.skipif(postgres_programs() is None, reason="Postgres is not installed")
def test_four_connections_are_landed_side_by_side_while_one_writer_loads(
    sandbox: RunningSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (sandbox.world.admin_keys[each.id] for each in sandbox.world.organizations)
    keys = {
        **sandbox.env(),
        "OPENAI_PERSONAL_KEY": next(iter(sandbox.world.session_tokens.values())),
        "TOKENBOARD_ENCRYPTION_KEY": base64.b64encode(bytes(32)).decode(),
        "TOKENBOARD_HOME": str(tmp_path / "home"),
        "TOKENBOARD_NOW": NOW.isoformat(),
        "TOKENBOARD_LOOKBACK_DAYS": "1",
        "TOKENBOARD_SETTLE_DAYS": "1",
        "DAGSTER_HOME": str(tmp_path),
    }
    connect(load_settings(**keys), "openai", "organization", None, SecretStr(second))
    shutil.copyfile(DEPLOY / "dagster.yaml", tmp_path / "dagster.yaml")
    gate = Gate(held=first)
    with postgres() as storage, gated(sandbox, gate) as addresses:
        environment = {**os.environ, **keys, **addresses, **storage}
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
            ticked = scheduled(instance)
            assert sorted(str(each.partition_key) for each in ticked) == NAMES
            workers = {each.partition_key: forked(land, environment, each.partition_key, each.tags) for each in ticked}
            for name in NAMES[1:]:
                workers[name].join(240)
            assert isinstance(asked(instance), dg.SkipReason)
            settings = load_settings()
            with open_warehouse(settings.warehouse_path) as warehouse:
                loaded = load_pending(warehouse, settings, "openai", READ)
                assert workers["openai"].is_alive()
            assert [len(loads) for loads in loaded.values()] == [1, 1, 1]
            gate.let_go.set()
            workers["openai"].join(240)
            assert {name: worker.exitcode for name, worker in workers.items()} == dict.fromkeys(NAMES, 0)
            request = asked(instance)
            assert isinstance(request, dg.RunRequest)
            assert request.tags[NIGHT] == "2026-06-13/2026-06-14"
            before = sandbox.request_count()
            night = definitions(Surroundings()).resolve_job_def("nightly")
            done = night.execute_in_process(
                instance=instance,
                tags=dict(request.tags),
                asset_selection=[dg.AssetKey([step, f"openai_{name}"]) for step in ("landing", "raw") for name in READ],
            )
            assert done.success
            assert sandbox.request_count() == before, "what the connections' runs landed was downloaded again"
    with open_warehouse(settings.warehouse_path) as warehouse:
        days = "SELECT connection_id, count(DISTINCT usage_date) FROM raw.openai_costs GROUP BY 1 ORDER BY 1"
        assert warehouse.execute(days).fetchall() == [("openai", 2), ("openai-2", 2)]
