"""The webhook: a real server, runs that really fail, and a published file with a budget and names that mean harm."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from assets.alerts import alerts
from tokenboard_etl.alerts import Event, message
from tokenboard_etl.errors import AlertNotSent, ConfigurationError
from tokenboard_etl.settings import load_settings

pytestmark = pytest.mark.slow

SECRET = "T0000/B0000/hush-hush"


class Hook(ThreadingHTTPServer):
    """Keeps what it is told and answers with `status`."""

    status = 200

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.told: list[dict[str, Any]] = []


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Hook)
        assert self.path == f"/{SECRET}"
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if server.status == 200:
            server.told.append(json.loads(body))
        self.send_response(server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch, copy: Path) -> Iterator[Hook]:
    """A webhook, configured, over a published file of the test's own."""
    with Hook() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setenv("TOKENBOARD_ALERT_WEBHOOK", f"http://127.0.0.1:{server.server_port}/{SECRET}")
        monkeypatch.setenv("TOKENBOARD_HOME", str(copy.parents[1]))
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def look(instance: dg.DagsterInstance, cursor: str | None = None) -> tuple[str, str | None]:
    """One look of the sensor: what it says, and the cursor it leaves."""
    with dg.build_sensor_context(instance=instance, cursor=cursor) as context:
        skipped = alerts(context)
        assert isinstance(skipped, dg.SkipReason)
        return str(skipped.skip_message), context.cursor


def fail(instance: dg.DagsterInstance, name: str) -> str:
    @dg.op
    def broken() -> None:
        raise ValueError("<!channel> sk-admin-AAAAAAAAAAAA")

    @dg.job(name=name)
    def job() -> None:
        broken()

    return job.execute_in_process(instance=instance, raise_on_error=False).run_id


def budget(copy: Path, percent: int) -> None:
    copy.chmod(0o644)
    connection = duckdb.connect(copy)
    connection.execute("DELETE FROM billing.budgets")
    connection.execute(
        "INSERT INTO billing.budgets VALUES ('2026-06', 'quoted-media', 100, 80, 0, 20, 240, $1, 100, 'rule')",
        [percent],
    )
    connection.close()


def test_each_event_is_told_once_and_what_failed_before_is_not(
    hook: Hook, instance: dg.DagsterInstance, copy: Path
) -> None:
    fail(instance, "long_ago")
    budget(copy, 50)
    _, cursor = look(instance)
    (first,) = hook.told
    kinds = [event["kind"] for event in first["events"]]
    assert kinds[0] == "budget_threshold"
    assert set(kinds[1:]) == {"unallocated_spend"}
    assert "quoted-media has reached 50 % of its budget for 2026-06: $80.00 of $100.00." in first["text"]
    said, cursor = look(instance, cursor)
    assert (said, len(hook.told)) == ("Nothing new.", 1)

    run = fail(instance, "nightly")
    budget(copy, 80)
    _, cursor = look(instance, cursor)
    assert [(event["kind"], event["id"]) for event in hook.told[1]["events"]] == [
        ("run_failed", run),
        ("budget_threshold", "2026-06 quoted-media 80"),
    ]
    assert hook.told[1]["text"].startswith("The job nightly failed")
    assert look(instance, cursor)[0] == "Nothing new."


def test_unallocated_spend_is_that_of_the_file(hook: Hook, instance: dg.DagsterInstance, copy: Path) -> None:
    look(instance)
    connection = duckdb.connect(copy, read_only=True)
    rows = connection.execute(
        """
        SELECT connection_id, account_id FROM billing.charges
        WHERE tenant_id = 'unallocated' AND usage_date >= DATE '2026-06-01' GROUP BY ALL HAVING sum(cost_usd) <> 0
        """
    ).fetchall()
    connection.close()
    assert rows
    told = {event["id"] for event in hook.told[0]["events"] if event["kind"] == "unallocated_spend"}
    assert told == {f"2026-06 {connection} {account}".strip() for connection, account in rows}


def test_a_message_that_was_not_taken_is_told_again_and_the_address_stays_secret(
    hook: Hook, instance: dg.DagsterInstance
) -> None:
    hook.status = 500
    with pytest.raises(AlertNotSent) as refused:
        look(instance)
    assert SECRET not in str(refused.value)
    assert "HTTP 500" in str(refused.value)
    hook.status = 200
    look(instance)
    assert len(hook.told) == 1


def test_no_log_of_anybody_has_the_address(
    hook: Hook, instance: dg.DagsterInstance, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever lets every library log, as Dagster's settings may, does not collect what opens the webhook."""
    caplog.set_level(logging.DEBUG)
    look(instance)
    hook.status = 500
    with pytest.raises(AlertNotSent):
        look(instance)
    assert len(hook.told) == 1
    assert SECRET not in caplog.text


def test_nobody_there_is_an_error_without_the_address(
    instance: dg.DagsterInstance, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKENBOARD_HOME", str(copy.parents[1]))
    monkeypatch.setenv("TOKENBOARD_ALERT_WEBHOOK", f"http://127.0.0.1:1/{SECRET}")
    with pytest.raises(AlertNotSent, match=r"127\.0\.0\.1 gave no answer") as refused:
        look(instance)
    assert SECRET not in str(refused.value)
    assert SECRET not in repr(load_settings())


def test_without_the_variable_nothing_is_looked_at(instance: dg.DagsterInstance) -> None:
    assert look(instance) == ("TOKENBOARD_ALERT_WEBHOOK is not set.", None)


def test_a_home_without_a_published_file_still_tells_of_failures(
    hook: Hook, instance: dg.DagsterInstance, copy: Path
) -> None:
    copy.unlink()
    _, cursor = look(instance)
    fail(instance, "nightly")
    look(instance, cursor)
    assert [event["kind"] for event in hook.told[0]["events"]] == ["run_failed"]


def test_what_is_no_address_is_refused_without_repeating_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKENBOARD_ALERT_WEBHOOK", f"ftp://somewhere/{SECRET}")
    with pytest.raises(ConfigurationError, match="TOKENBOARD_ALERT_WEBHOOK") as refused:
        load_settings()
    assert SECRET not in str(refused.value)


def test_nothing_in_a_message_is_a_mention_a_link_a_key_or_a_control_character() -> None:
    harm = "<!channel> & <https://evil.example|click>\n\x1b[31m\u202e sk-admin-AAAAAAAAAAAA"
    told = message([Event("unallocated_spend", harm, harm)] * 30)
    for text in (told["text"], *(event["id"] for event in told["events"])):
        assert not set("<>\x1b\u202e") & set(text)
        assert "AAAA" not in text
        assert "&lt;!channel&gt; &amp; " in text
    assert told["text"].count("\n") == 20
    assert told["text"].endswith("And 10 more.")
    assert len(told["events"]) == 30
