"""`tokenboard provision` and its companions as people meet them."""

from __future__ import annotations

import base64
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from assets.definitions import definitions
from assets.resources import Surroundings
from tests.commands import tokenboard
from tokenboard_etl.providers.sandbox.server import RunningSandbox, running_sandbox
from tokenboard_etl.settings import load_settings

SCRIPT = Path(sys.executable).parent / "tokenboard"
NOW = datetime(2026, 6, 15, 2, tzinfo=UTC)
KEY = re.compile(rb"sk-(?:svcacct|or-v1|admin)-SANDBOX-\w{6,}")
"""Every key of the sandbox, planted to be found."""

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Ended:
    status: int
    out: str
    err: str


@dataclass(frozen=True)
class Shell:
    """Runs the script in a home, without anything of the surroundings."""

    home: Path
    env: dict[str, str]

    def __call__(self, *arguments: str, stdin: str = "", **more: str) -> Ended:
        env = {"PATH": os.environ["PATH"], **self.env, **more}
        ended = tokenboard(*arguments, env=env, cwd=self.home.parent, stdin=stdin)
        return Ended(ended.returncode, ended.stdout, ended.stderr)


@pytest.fixture(scope="module")
def providers() -> Iterator[RunningSandbox]:
    with running_sandbox(now=NOW) as running:
        yield running


@pytest.fixture(scope="module")
def shell(providers: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    home = tmp_path_factory.mktemp("provisioning") / "home"
    ring = base64.b64encode(bytes([7]) * 32).decode()
    state = {"TOKENBOARD_HOME": str(home), "TOKENBOARD_NOW": NOW.isoformat(), "TOKENBOARD_ENCRYPTION_KEY": ring}
    return Shell(home, {**providers.env(), **state})


@pytest.fixture(scope="module")
def said(shell: Shell, providers: RunningSandbox) -> list[Ended]:
    """A tenant that succeeds, one whose keys come in answers that cannot be read, a rotation, and what they said."""
    made = shell("--debug", "provision", "Atlas <b>&</b> Co", "--limit", "200", "--email", "ap@atlas.example")
    for match in ("/service_accounts", "POST /openrouter/api/v1/keys"):
        providers.add_fault("malformed", match, variant="type")
    failed = shell("--debug", "provision", "Boreas")
    providers.clear_faults()
    return [made, failed, shell("--debug", "tenants", "rotate", "atlas-b-b-co")]


def test_exit_statuses_and_last_words(said: list[Ended]) -> None:
    made, failed, rotated = said
    assert (made.status, made.err) == (0, "")
    assert "atlas-b-b-co is provisioned" in made.out
    assert failed.status == 1
    assert failed.err.splitlines()[-1].startswith("tokenboard: Still pending: boreas at openai: ")
    assert (rotated.status, rotated.err) == (0, "")


def test_a_key_is_shown_on_a_terminal_and_elsewhere_only_if_told_so(shell: Shell, said: list[Ended]) -> None:
    assert said
    reveal = ("key", "reveal", "atlas-b-b-co", "--provider", "openrouter")
    piped = shell(*reveal)
    assert (piped.status, piped.out) == (2, "")
    assert "stdout is no terminal" in piped.err
    told = shell(*reveal, "--stdout")
    assert (told.status, told.err) == (0, "")
    assert KEY.fullmatch(told.out.strip().encode())
    master, slave = pty.openpty()
    shown = subprocess.run(
        [SCRIPT, *reveal],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", ""), **shell.env},
        cwd=shell.home.parent,
        stdout=slave,
        stderr=subprocess.PIPE,
        timeout=300,
        check=False,
    )
    os.close(slave)
    screen = os.read(master, 10_000).decode()
    os.close(master)
    assert (shown.returncode, shown.stderr) == (0, b"")
    assert screen.strip() == told.out.strip()
    actions = json.loads(shell("tenants", "show", "atlas-b-b-co", "--json").out)["actions"]
    assert [each["result"] for each in actions if each["action"] == "reveal key"].count("done") >= 2


def test_wrong_use_is_said_before_anything_is_done(shell: Shell, said: list[Ended], providers: RunningSandbox) -> None:
    assert said
    before = providers.request_count()
    for arguments in (
        ("provision",),
        ("provision", "X", "--pending"),
        ("provision", ""),
        ("provision", "x" * 300),
        ("provision", "a\nb"),
        ("provision", "a\u202eb"),
        ("provision", "ATLAS <B>&</B> CO"),
        ("provision", "Nimbus", "--limit", "0"),
        ("provision", "Nimbus", "--providers", "openai,anthropic"),
        ("provision", "Nimbus", "--country", "Germany"),
        ("provision", "--from-csv", "nowhere.csv"),
        ("tenants", "limit", "atlas-b-b-co", "much"),
        ("tenants", "rotate", "nobody"),
        ("tenants", "show", "nobody"),
    ):
        ended = shell(*arguments)
        assert (ended.status, ended.out) == (2, ""), (arguments, ended)
        assert 1 <= len(ended.err.splitlines()) <= 2
    assert shell("provision", "Nimbus", TOKENBOARD_ENCRYPTION_KEY="").status == 2
    assert providers.request_count() == before
    with duckdb.connect(shell.home / "warehouse.duckdb", read_only=True) as warehouse:
        names = warehouse.execute("SELECT tenant_id FROM registry.tenants ORDER BY 1").fetchall()
    assert names == [("atlas-b-b-co",), ("boreas",)]


def test_a_tenant_is_suspended_resumed_and_offboarded(
    shell: Shell, said: list[Ended], providers: RunningSandbox
) -> None:
    assert said
    assert shell("provision", "Dorado", "--limit", "20").status == 0
    (key,) = [key for key in providers.sandbox.account.keys.values() if key.name == "Dorado"]
    for command, status, disabled in (
        ("suspend", "suspended", True),
        ("resume", "active", False),
        ("offboard", "offboarded", True),
    ):
        ended = shell("tenants", command, "dorado")
        assert (ended.status, ended.err) == (0, ""), ended
        assert f"dorado is {status}" in ended.out
        assert key.is_disabled(NOW) is disabled
        if command == "suspend":
            refused = shell("tenants", "rotate", "dorado")
            assert (refused.status, refused.err) == (
                2,
                "tokenboard: dorado is suspended, so nothing of it is changed.\n",
            )
    shown = json.loads(shell("tenants", "show", "dorado", "--json").out)
    assert shown["tenant"]["status"] == "offboarded"
    assert {each["kind"] for each in shown["accounts"] if each["valid_until"] is None} == {"project", "key"}
    again = shell("tenants", "resume", "dorado")
    assert again.status == 2
    assert "archived" in again.err


def test_the_jobs_can_be_started_from_the_launchpad(shell: Shell, said: list[Ended], providers: RunningSandbox) -> None:
    assert said
    jobs = definitions(Surroundings(load_settings(**shell.env)))
    config = {"ops": {"make_tenant": {"config": {"name": "Cirrus", "limit_usd": "12.50", "providers": ["openrouter"]}}}}
    with dg.DagsterInstance.ephemeral() as instance:
        job = jobs.resolve_job_def("provision_tenant")
        assert job.execute_in_process(run_config=config, instance=instance).success
        job = jobs.resolve_job_def("provision_pending")
        assert job.execute_in_process(instance=instance).success
    made = [key for key in providers.sandbox.account.keys.values() if key.name == "Cirrus"]
    assert [key.limit for key in made] == [Decimal("12.5")]
    with duckdb.connect(shell.home / "published" / "tokenboard.duckdb", read_only=True) as published:
        assert ("cirrus",) in published.execute("SELECT tenant_id FROM registry.tenants").fetchall()
        states = published.execute("SELECT DISTINCT state FROM registry.provisioning").fetchall()
    assert states == [("ready",)]  # of the tenant that had failed too
