"""A deployment at work: Postgres, code server, daemon and webserver are real, and so is what kills them."""

from __future__ import annotations

import base64
import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from deploy.services import PASSWORD, Services, postgres, postgres_programs, until
from tokenboard_etl.providers.sandbox.server import RunningSandbox

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(postgres_programs() is None, reason="Postgres is not installed"),
]

NOW = datetime(2026, 6, 15, 2, tzinfo=UTC)
REPOSITORY = {"repositoryLocationName": "tokenboard", "repositoryName": "__repository__"}

TICK = """
mutation ($schedule: ScheduleSelector!, $at: Float!) {
  scheduleDryRun(selectorData: $schedule, timestamp: $at) {
    __typename
    ... on DryRunInstigationTick { evaluationResult { error { message } runRequests { runKey tags { key value } } } }
  }
}
"""
LAUNCH = """
mutation ($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
  }
}
"""
RUNS = "{ runsOrError { ... on Runs { results { runId status parentRunId } } } }"


@pytest.fixture
def services(sandbox: RunningSandbox, tmp_path: Path) -> Iterator[Services]:
    """Everything up, over an empty database and an empty home."""
    keys = {
        **sandbox.env(),
        "OPENROUTER_MANAGEMENT_KEY": "",  # one provider is enough, and twice as fast
        "TOKENBOARD_HOME": str(tmp_path / "data"),
        "TOKENBOARD_NOW": NOW.isoformat(),
        "TOKENBOARD_ENCRYPTION_KEY": base64.b64encode(b"planted-planted-planted-planted-").decode(),
    }
    with postgres() as server:
        up = Services(tmp_path / "dagster", server.env, keys)
        try:
            up.start("code")  # needs no table to load its definitions
            assert up.start("prepare").wait(120) == 0, up.said()
            up.start("daemon")
            up.start("webserver")
            until("the code location", lambda: has_schedules(up), 120, every=0.5)
            yield up
        except BaseException:
            sys.stderr.write(up.said())
            raise
        finally:
            up.stop()


def has_schedules(up: Services) -> bool:
    query = "query ($of: RepositorySelector!) { schedulesOrError(repositorySelector: $of) { __typename } }"
    return bool(up.ask(query, of=REPOSITORY)["schedulesOrError"]["__typename"] == "Schedules")


def launch_what_the_schedule_asks_for(up: Services) -> str:
    """What the UI's "Test schedule" and "Launch" do; returns the run's id."""
    schedule = {**REPOSITORY, "scheduleName": "nightly_02_utc"}
    tick = up.ask(TICK, schedule=schedule, at=NOW.timestamp())["scheduleDryRun"]["evaluationResult"]
    assert tick["error"] is None
    [request] = tick["runRequests"]
    assert request["runKey"] == "2026-06-14"
    params = {
        "selector": {**REPOSITORY, "jobName": "nightly"},
        "runConfigData": {},
        "executionMetadata": {"tags": [{"key": tag["key"], "value": tag["value"]} for tag in request["tags"]]},
    }
    launched = up.ask(LAUNCH, params=params)["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    return str(launched["run"]["runId"])


def runs(up: Services) -> dict[str, dict[str, Any]]:
    return {run["runId"]: run for run in up.ask(RUNS)["runsOrError"]["results"]}


def retry_of(up: Services, run_id: str) -> str | None:
    return next((each["runId"] for each in runs(up).values() if each["parentRunId"] == run_id), None)


def worker_at_work(up: Services, run_id: str) -> int:
    """The process of a run that has landed its first page and is not done."""
    home = Path(up.keys["TOKENBOARD_HOME"])
    lock = home / "running" / f"{run_id}.lock"
    until("a page of the run", lambda: lock.exists() and any(home.glob("landing/*/*/*/pages.jsonl")), 120, every=0.01)
    return int(lock.read_text())


def test_a_night_that_lost_its_worker_daemon_and_code_server_is_finished_by_its_retry(
    services: Services, sandbox: RunningSandbox
) -> None:
    sandbox.add_fault("slow", "/organization/costs", delay=1)
    run = launch_what_the_schedule_asks_for(services)
    worker = worker_at_work(services, run)
    services.kill("daemon")
    services.kill("code")
    with suppress(ProcessLookupError):
        os.kill(worker, signal.SIGKILL)
    sandbox.clear_faults()
    home = Path(services.keys["TOKENBOARD_HOME"])
    assert not (home / "published" / "tokenboard.duckdb").exists()
    assert runs(services)[run]["status"] == "STARTED"  # there is nobody left who could say that it died

    services.start("code")
    services.start("daemon")
    retry = until("the retry", lambda: retry_of(services, run), 240)
    assert runs(services)[run]["status"] == "FAILURE"
    until("the retry's end", lambda: runs(services)[retry]["status"] in ("SUCCESS", "FAILURE"), 240)
    assert runs(services)[retry]["status"] == "SUCCESS", services.said()
    with duckdb.connect(home / "published" / "tokenboard.duckdb", read_only=True) as published:
        days = published.execute(
            "SELECT count(*), sum(difference_usd) FROM billing.reconciliation WHERE connection_id = 'openai'"
        ).fetchall()
    assert days == [(5, 0)]
    assert_the_logs_are_lines_of_json_that_name_the_run(services, retry)
    assert_no_secret_is_anywhere(services, sandbox)
    assert services.are_healthy(), services.said()


def assert_the_logs_are_lines_of_json_that_name_the_run(services: Services, run: str) -> None:
    """On stderr of the code server, where `docker compose logs` finds them."""
    lines = [json.loads(line) for line in services.said().splitlines() if line.startswith('{"at"')]
    landed = [line for line in lines if line["run"] == run and line["message"].startswith("landed ")]
    assert {(line["connection"], line["report"], line["window"]) for line in landed} >= {
        ("openai", "costs", "2026-06-10..2026-06-14")
    }
    assert all(line["pages"] > 0 and line["seconds"] >= 0 and line["bytes"] > 0 for line in landed)


def assert_no_secret_is_anywhere(services: Services, sandbox: RunningSandbox) -> None:
    said = services.said() + Path(services.keys["TOKENBOARD_HOME"], "logs", "tokenboard.log").read_text()
    for secret in (PASSWORD, sandbox.env()["OPENAI_ADMIN_KEY"], services.keys["TOKENBOARD_ENCRYPTION_KEY"]):
        assert secret not in said
