"""The `tokenboard` script as people and cron jobs meet it: exit status, words, and what is on disk afterwards."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
import zstandard

from tests.commands import tokenboard
from tests.conftest import provider_that_says
from tokenboard_etl.connections import Connection, connections
from tokenboard_etl.errors import ProviderUnavailable
from tokenboard_etl.extraction import extract
from tokenboard_etl.http import Client
from tokenboard_etl.periods import Window
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.settings import Settings

SCRIPT = Path(sys.executable).parent / "tokenboard"
NOW = datetime.fromisoformat("2026-06-15T02:00:00Z")
READ, NEXT = "2026-05-31", "2026-06-01"
"""The day the good run has read, and the one after it, which the failing runs ask for."""

CSV_HEAD = "tenant_id,name,industry,country,currency,billing_email,openai_project_id,openrouter_key_hash,valid_from\n"


@dataclass(frozen=True)
class Ended:
    """A process that has ended, and its last words."""

    status: int
    out: str
    err: str

    def refused_with(self, status: int) -> str:
        """Its error: one or two lines on stderr, nothing else there."""
        assert self.status == status, (self.out, self.err)
        lines = self.err.splitlines()
        assert 1 <= len(lines) <= 2, self.err
        assert lines[0].startswith("tokenboard: ")
        assert "Traceback" not in self.out + self.err
        return self.err

    def done(self) -> str:
        assert (self.status, self.err) == (0, ""), (self.out, self.err)
        return self.out


@dataclass(frozen=True)
class Shell:
    """Runs the script in an environment that holds nothing but what is given here."""

    home: Path
    env: dict[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str, debug: bool = False, **more: str) -> Ended:
        """`more` are variables for this one call; an empty one counts as not set."""
        cwd = self.home.parent
        surroundings = {"PATH": os.environ["PATH"], "HOME": str(cwd), "TERM": "xterm-256color", "COLUMNS": "100"}
        env = {**surroundings, "TOKENBOARD_HOME": str(self.home), **self.env, **more}
        ended = tokenboard(*(["--debug"] if debug else []), *arguments, env=env, cwd=cwd)
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def nightly(self, day: str = NEXT, *, debug: bool = False, **more: str) -> Ended:
        return self("nightly", "--from", day, "--to", day, debug=debug, **more)

    @property
    def published(self) -> Path:
        return self.home / "published" / "tokenboard.duckdb"

    def manifests(self, report: str) -> set[Path]:
        return set(self.home.glob(f"landing/*/{report}/*/manifest.json"))

    def files(self) -> Iterator[tuple[Path, bytes]]:
        """Every file of the home; landed pages as they were before compression."""
        for path in sorted(self.home.rglob("*")):
            if path.is_file():
                content = path.read_bytes()
                yield path, zstandard.decompress(content) if path.suffix == ".zst" else content


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    connection = duckdb.connect(path, read_only=True)
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def environment(sandbox: RunningSandbox, **more: str) -> dict[str, str]:
    """Both base URLs and the OpenAI key; a second provider would only double the time of each run."""
    return {**sandbox.env(), "OPENROUTER_MANAGEMENT_KEY": "", "TOKENBOARD_NOW": NOW.isoformat(), **more}


@pytest.fixture
def shell(sandbox: RunningSandbox, tmp_path: Path) -> Shell:
    """The script with a fresh home."""
    return Shell(tmp_path / "home", environment(sandbox))


@pytest.fixture(scope="module")
def good_run(_shared_sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Ended]:
    """A home in which READ has been read, and how that run ended."""
    shell = Shell(tmp_path_factory.mktemp("good") / "home", environment(_shared_sandbox))
    return shell.home, shell.nightly(READ)


@pytest.fixture
def used(good_run: tuple[Path, Ended], shell: Shell) -> Shell:
    """The script with a copy of the home in which READ has been read."""
    good_run[1].done()
    shutil.copytree(good_run[0], shell.home)
    return shell


# --- keys


def test_without_a_key_it_says_which_variables_to_set(shell: Shell) -> None:
    said = shell.nightly(OPENAI_ADMIN_KEY="").refused_with(2)
    assert "OPENAI_ADMIN_KEY" in said
    assert "OPENROUTER_MANAGEMENT_KEY" in said
    assert not shell.published.exists()


def test_the_advice_names_the_kind_of_key_that_is_needed(shell: Shell) -> None:
    assert "sk-admin-" in shell.nightly(OPENAI_ADMIN_KEY="").refused_with(2)


@pytest.mark.parametrize("kind", ["sk-proj-", "sk-svcacct-", "sess-"])
def test_an_openai_key_of_another_kind_is_refused_before_it_is_sent(
    shell: Shell, sandbox: RunningSandbox, kind: str
) -> None:
    before = sandbox.request_count()
    said = shell.nightly(OPENAI_ADMIN_KEY=kind + "0123456789abcdef").refused_with(2)
    assert "OPENAI_ADMIN_KEY" in said
    assert "0123456789abcdef" not in said
    assert sandbox.request_count() == before


def test_an_admin_key_the_provider_does_not_know_is_wrong_configuration(shell: Shell) -> None:
    said = shell.nightly(OPENAI_ADMIN_KEY="sk-admin-unknown0123456789").refused_with(2)
    assert "openai refused the key for GET /organization/" in said
    assert "HTTP 401" in said
    assert "OPENAI_ADMIN_KEY" in said


def test_a_key_without_the_permission_is_wrong_configuration(used: Shell, sandbox: RunningSandbox) -> None:
    before = used.published.read_bytes()
    sandbox.add_fault("status", "/organization/costs", status=403)
    said = used.nightly().refused_with(2)
    assert "openai refused the key for GET /organization/costs: HTTP 403" in said
    assert "api.usage.read" in said
    assert used.published.read_bytes() == before


def test_an_openrouter_inference_key_is_refused_and_a_management_key_asked_for(
    shell: Shell, sandbox: RunningSandbox
) -> None:
    key = next(key.value for key in sandbox.world.account.keys if key.disabled_on is None)
    said = shell.nightly(OPENAI_ADMIN_KEY="", OPENROUTER_MANAGEMENT_KEY=key).refused_with(2)
    assert "openrouter refused the key" in said
    assert "management key" in said
    assert "OPENROUTER_MANAGEMENT_KEY" in said


def test_no_key_is_written_anywhere_whether_a_run_succeeds_or_fails(used: Shell, good_run: tuple[Path, Ended]) -> None:
    """The refusals repeat the key that was sent, as providers have done."""
    known, wrong = used.env["OPENAI_ADMIN_KEY"], "sk-admin-wrong0123456789"

    def refusal(_: str, key: str) -> tuple[int, bytes]:
        return 401, json.dumps({"error": {"message": f"Incorrect API key: {key}"}}).encode()

    with provider_that_says(refusal) as url:
        ended = [used.nightly(OPENAI_BASE_URL=url, OPENAI_ADMIN_KEY=key, debug=True) for key in (known, wrong)]
    assert [each.status for each in ended] == [2, 2]
    said = "".join(each.out + each.err for each in (good_run[1], *ended))
    assert "Incorrect API key" in said
    places = {"stdout and stderr": said.encode(), **{str(path): content for path, content in used.files()}}
    assert any("/dagster/" in place for place in places)
    assert any("/landing/" in place for place in places)
    assert any("/logs/" in place for place in places)
    for key in (known, wrong):
        secret = key.removeprefix("sk-admin-").removeprefix("SANDBOX-").encode()
        assert [place for place, content in places.items() if secret in content] == []


# --- providers that are out of order


@pytest.mark.endurance  # some two minutes of waiting, as a user would
def test_an_unreachable_provider_is_named_and_the_command_can_be_repeated(used: Shell) -> None:
    before = used.published.read_bytes()
    said = used.nightly(OPENAI_BASE_URL="http://127.0.0.1:1").refused_with(1)
    assert "openai GET /organization/costs: cannot reach 127.0.0.1" in said
    assert "run the same command again" in said
    assert used.published.read_bytes() == before


def test_an_overloaded_provider_is_named_and_the_command_can_be_repeated(used: Shell, sandbox: RunningSandbox) -> None:
    before, read = used.published.read_bytes(), used.manifests("costs")
    sandbox.add_fault("status", "/organization/costs", status=503, retry_after=0)
    said = used.nightly().refused_with(1)
    assert "openai GET /organization/costs: HTTP 503" in said
    assert "run the same command again" in said
    assert used.manifests("costs") == read
    assert used.published.read_bytes() == before
    sandbox.clear_faults()
    used.nightly().done()
    assert rows(used.published, f"SELECT count(*) > 0 FROM billing.charges WHERE usage_date = '{NEXT}'") == [(True,)]


def test_an_answer_of_another_shape_stops_its_report_and_changes_no_figure(
    used: Shell, sandbox: RunningSandbox
) -> None:
    before, read = used.published.read_bytes(), used.manifests("costs")
    loads = f"SELECT load_id FROM ops.loads WHERE report = 'costs' AND window_start <> '{READ}'"
    sandbox.add_fault("malformed", "/organization/costs")

    ended = used.nightly()

    said = ended.refused_with(1)
    assert "openai GET /organization/costs: $.data[0].results[0].amount.value: " in said
    folder = Path(said.partition("The answer is kept in ")[2].strip().removesuffix("."))
    assert folder.is_relative_to(used.home / "landing" / "openai" / "costs")
    assert b'"value":true' in zstandard.decompress((folder / "page-00001.json.zst").read_bytes()).replace(b" ", b"")
    assert used.manifests("costs") == read
    assert rows(used.home / "warehouse.duckdb", loads) == []
    assert rows(used.home / "warehouse.duckdb", f"FROM raw.openai_costs WHERE usage_date = '{NEXT}'") == []
    assert used.published.read_bytes() == before
    assert not list(used.published.parent.glob(".*"))


def test_a_body_that_is_not_json_is_kept_and_its_folder_named(used: Shell) -> None:
    before, read = used.published.read_bytes(), used.manifests("projects")
    listed = zstandard.decompress(min(next(iter(read)).parent.glob("page-*")).read_bytes())
    first_asked = iter([listed])  # whether it is the same organization at another address

    def broken(path: str, _key: str) -> tuple[int, bytes]:
        return 200, next(first_asked, b'{"data": [}') if "/organization/projects?" in path else b'{"data": [}'

    with provider_that_says(broken) as url:
        said = used.nightly(OPENAI_BASE_URL=url).refused_with(1)
    assert re.search(r"openai GET /organization/\S+: the body is not JSON", said)
    folder = Path(said.partition("The answer is kept in ")[2].strip().removesuffix("."))
    assert zstandard.decompress((folder / "page-00001.json.zst").read_bytes()) == b'{"data": [}'
    assert used.manifests("projects") == read
    assert used.published.read_bytes() == before


@dataclass(frozen=True)
class Impatient(Connection):
    """A connection that does not wait between attempts."""

    def client(self, slots: asyncio.Semaphore | None = None) -> Client:
        async def at_once(_seconds: float) -> None:
            return

        return Client(self.base_url, self.key, headers=self.headers, slots=slots, sleep=at_once)


async def _read_costs(settings: Settings) -> None:
    (known,) = connections(settings, "openai")
    impatient = Impatient(known.connection_id, known.provider, known.base_url, known.key, known.headers)
    day = date.fromisoformat(NEXT)
    await extract(impatient, "costs", Window.of_days(day, day), settings.landing_path, lambda: NOW)


@pytest.mark.parametrize(
    "fault",
    [{"kind": "truncated"}, {"kind": "cut_json"}, {"kind": "reset"}],
    ids=["truncated", "cut_json", "reset"],
)
def test_an_answer_that_never_arrives_whole_is_no_landing_and_can_be_asked_for_again(
    settings: Settings, sandbox: RunningSandbox, fault: dict[str, str]
) -> None:
    """The command line's status and words come from this exception; a process would wait between its attempts."""
    sandbox.add_fault(match="/organization/costs", **fault)
    with pytest.raises(
        ProviderUnavailable, match=r"^openai GET /organization/costs: .* run the same command again"
    ) as e:
        asyncio.run(_read_costs(settings))
    assert e.value.exit_status == 1
    assert list(settings.landing_path.rglob("manifest.json")) == []
    sandbox.clear_faults()
    asyncio.run(_read_costs(settings))
    assert len(list(settings.landing_path.rglob("manifest.json"))) == 1


def test_a_traceback_is_shown_only_with_debug(used: Shell, sandbox: RunningSandbox) -> None:
    sandbox.add_fault("malformed", "/organization/projects")
    assert "Traceback" not in used.nightly().refused_with(1)
    shown = used.nightly(debug=True)
    assert shown.status == 1
    assert "Traceback (most recent call last)" in shown.err
    assert shown.err.splitlines()[-1].startswith("tokenboard: openai GET /organization/projects: ")


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_says_so_and_can_be_repeated(
    shell: Shell, sandbox: RunningSandbox, by: signal.Signals
) -> None:
    sandbox.add_fault("slow", "/organization/costs", delay=60)
    command = [str(SCRIPT), "nightly", "--from", NEXT, "--to", NEXT]
    env = {"PATH": os.environ["PATH"], "HOME": str(shell.home.parent), "TOKENBOARD_HOME": str(shell.home), **shell.env}
    running = subprocess.Popen(
        command, env=env, cwd=shell.home.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert running.stdout is not None
    assert any("landed openai" in line for line in running.stdout)
    running.send_signal(by)
    _, said = running.communicate(timeout=60)
    assert (running.returncode, said.splitlines()[-1]) == (
        1,
        "tokenboard: Stopped. What was complete is kept; run the same command again to go on.",
    )
    assert "Traceback" not in said
    sandbox.clear_faults()
    shell.nightly().done()


@pytest.mark.parametrize(
    "zone", ["Pacific/Kiritimati", pytest.param("America/St_Johns", marks=[pytest.mark.endurance, pytest.mark.slow])]
)
def test_the_hosts_time_zone_changes_no_figure(good_run: tuple[Path, Ended], shell: Shell, zone: str) -> None:
    shell.nightly(READ, TZ=zone).done()
    here, there = good_run[0] / "published" / "tokenboard.duckdb", shell.published
    for table in ("billing.charges", "billing.reconciliation", "billing.tenant_months", "usage.completions"):
        query = f"SELECT COLUMNS(lambda c: c <> 'load_id') FROM {table} ORDER BY ALL"
        assert rows(there, query) == rows(here, query), table
    states = "SELECT usage_date, report, state, rows, total_usd, settled_at FROM ops.source_days ORDER BY ALL"
    assert rows(there, states) == rows(here, states)


# --- days and months


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--to", "2026-06-15"], "2026-06-15 is not over in UTC"),
        (["--to", "2026-06-16"], "2026-06-16 is not over in UTC"),
        (["--from", "2026-02-30"], "'2026-02-30' is not a date"),
        (["--from", "yesterday"], "'yesterday' is not a date"),
        (["--from", "2026-06-14", "--to", "2026-06-13"], "--from 2026-06-14 is after --to 2026-06-13"),
        (["--from", "2023-12-31"], "before 2024-01-01"),
        (["--until", "2026-06-14"], "--until"),
    ],
)
def test_days_that_cannot_be_meant_are_wrong_use(
    shell: Shell, sandbox: RunningSandbox, arguments: list[str], said: str
) -> None:
    before = sandbox.request_count()
    assert said in shell("nightly", *arguments).refused_with(2)
    assert sandbox.request_count() == before


def test_a_month_that_is_not_over_or_no_month_cannot_be_closed(shell: Shell) -> None:
    assert "2026-06 is not over" in shell("close", "2026-06").refused_with(2)
    assert "'2026-13' is not a month" in shell("close", "2026-13").refused_with(2)
    assert "'0000-01' is not a month" in shell("close", "0000-01").refused_with(2)
    assert "is before 2024-01-01" in shell("close", "2023-05").refused_with(2)
    assert "is not over" in shell("close", "2999-12").refused_with(2)
    assert not shell.published.exists()


def test_a_month_with_missing_days_closes_only_with_a_reason_and_only_once(
    used: Shell, sandbox: RunningSandbox
) -> None:
    (used.home.parent / "tenants.csv").write_text(sandbox.world.tenants_csv())
    used("tenants", "import", "tenants.csv").done()

    sandbox.add_fault("status", "/organization/costs", status=400)  # the month cannot be read before it is closed
    said = used("close", "2026-05").refused_with(1)
    assert "openai GET /organization/costs: HTTP 400" in said
    assert rows(used.published, "FROM billing.invoices") == []
    assert list(used.home.rglob("INV-*.html")) == []

    assert "--accept-provisional REASON" in used("close", "2026-05", "--accepted-by", "Erika").refused_with(2)
    used("close", "2026-05", "--accept-provisional", "agreed by phone", "--accepted-by", "Erika Muster").done()
    invoices = "FROM billing.invoices ORDER BY invoice_number"
    issued, files = rows(used.published, invoices), documents(used.home)
    assert len(issued) == len(files) > 0
    assert rows(used.published, "SELECT DISTINCT accepted_reason FROM billing.invoices") == [("agreed by phone",)]
    closed = "SELECT month, accepted_reason FROM billing.closed_months"
    assert rows(used.published, closed) == [("2026-05", "agreed by phone")]

    assert all(b"accepted by <bdi>Erika Muster</bdi>: <bdi>agreed by phone</bdi>" in html for html, _ in files.values())

    used("close", "2026-05").done()
    assert rows(used.published, invoices) == issued
    assert documents(used.home) == files

    number = issued[0][0]
    assert "needs one to 500 characters" in used("credit-note", number, "--reason", " ").refused_with(2)
    assert f"credits {number}" in used("credit-note", number, "--reason", "wrong customer").done()
    assert "credited in full already" in used("credit-note", number, "--reason", "again").refused_with(2)
    status = f"SELECT status FROM billing.invoices WHERE invoice_number = '{number}'"
    assert rows(used.published, status) == [("credited",)]
    assert documents(used.home).items() > files.items()


def documents(home: Path) -> dict[Path, tuple[bytes, int]]:
    """Invoice files with their bytes and the moment they were written."""
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in home.glob("reports/*/*/INV-*.html")}


# --- tenants


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (",Alpha,,,,,,,\n,Beta,,,XYZ,,,,\n", "line 3: 'XYZ' is not an ISO 4217 currency code"),
        (",Alpha,,,,,,,\n,,,,,,,,\n", "line 3: The tenant name is empty"),
        (",Alpha,,,,,proj_a,,2026-01-01\n,Beta,,,,,proj_a,,2026-02-01\n", "line 3: openai project proj_a belongs to"),
        (",Alpha,,,,,proj_a,,01.02.2026\n", "line 2: valid_from is '01.02.2026'"),
    ],
    ids=["currency", "name", "account_taken", "date"],
)
def test_a_bad_line_is_named_and_nothing_of_its_file_is_imported(shell: Shell, lines: str, said: str) -> None:
    (shell.home.parent / "bad.csv").write_text(CSV_HEAD + lines)
    assert f"bad.csv, {said}" in shell("tenants", "import", "bad.csv").refused_with(2)
    assert json.loads(shell("tenants", "list", "--json").done()) == []


def test_a_list_of_tenants_is_json_for_programs_and_plain_text_in_a_pipe(shell: Shell) -> None:
    names = ["=1+1", "Łódź [bold]Ąż[/bold]", "<script>alert(1)</script>"]
    (shell.home.parent / "tenants.csv").write_text(CSV_HEAD + "".join(f',"{name}",,PL,,,,,\n' for name in names))
    assert "3 tenant(s)" in shell("tenants", "import", "tenants.csv").done()
    listed = json.loads(shell("tenants", "list", "--json").done())
    assert sorted(tenant["name"] for tenant in listed) == sorted(names)
    assert {(tenant["country"], tenant["currency"], tenant["status"]) for tenant in listed} == {("PL", "USD", "active")}
    table = shell("tenants", "list").done()
    assert all(name in table for name in names)
    assert "\x1b" not in table


def test_output_that_is_piped_has_no_terminal_codes(shell: Shell, good_run: tuple[Path, Ended]) -> None:
    said = [good_run[1], shell("--help"), shell("nightly", "--to", "2026-06-15"), shell("no-such-command")]
    assert [each.status for each in said] == [0, 0, 2, 2]
    assert all("\x1b" not in each.out + each.err for each in said)
