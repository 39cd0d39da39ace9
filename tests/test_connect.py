"""`tokenboard connect`: what is asked of the provider, what is stored, what is said, and what is refused."""

from __future__ import annotations

import base64
import json
import os
import pty
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, localcontext
from pathlib import Path

import dagster as dg
import duckdb
import pytest
import zstandard
from pydantic import SecretStr

from assets.run import run_nightly
from tests.commands import tokenboard
from tests.conftest import provider_that_says
from tokenboard_etl.connecting import connect
from tokenboard_etl.connections import connections
from tokenboard_etl.doctor import examine
from tokenboard_etl.errors import KeyRefused, WrongUse
from tokenboard_etl.http import Answer
from tokenboard_etl.landing import begin
from tokenboard_etl.periods import Window
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.providers.wire import Request
from tokenboard_etl.settings import Settings, clean_key, load_settings
from tokenboard_etl.tenants.csv_import import import_tenants
from tokenboard_etl.tenants.key_ring import KeyRing
from tokenboard_etl.tenants.stored_connections import add_connection, key_of, replace_key, stored_connections
from tokenboard_etl.tenants.vault import change_vault, read_vault
from tokenboard_etl.warehouse.connection import open_warehouse

SCRIPT = Path(sys.executable).parent / "tokenboard"
NOW = datetime(2026, 6, 15, 2, tzinfo=UTC)
RING = base64.b64encode(bytes([7]) * 32).decode()
NEXT_RING = base64.b64encode(bytes([8]) * 32).decode()


@dataclass(frozen=True)
class Shell:
    """Runs the script with a home, and a key on stdin."""

    home: Path
    env: dict[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str, stdin: str | bytes = "", **more: str) -> subprocess.CompletedProcess[str]:
        return tokenboard(*arguments, env=self.surroundings(**more), cwd=self.home.parent, stdin=stdin)

    def surroundings(self, **more: str) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "TOKENBOARD_HOME": str(self.home), **self.env, **more}

    def refused(self, *arguments: str, stdin: str | bytes = "", **more: str) -> str:
        """Exit status 2, two lines at most, and no vault."""
        ended = self(*arguments, stdin=stdin, **more)
        assert (ended.returncode, ended.stdout) == (2, ""), (ended.stdout, ended.stderr)
        assert 1 <= len(ended.stderr.splitlines()) <= 2
        assert not (self.home / "vault.duckdb").exists()
        return ended.stderr


@pytest.fixture
def shell(sandbox: RunningSandbox, tmp_path: Path) -> Shell:
    env = {**sandbox.env(), "TOKENBOARD_NOW": NOW.isoformat(), "TOKENBOARD_ENCRYPTION_KEY": RING}
    return Shell(tmp_path / "home", env)


@pytest.fixture
def settings(sandbox: RunningSandbox, tmp_path: Path) -> Settings:
    return configured(tmp_path, **sandbox.env())


def configured(folder: Path, **more: str | None) -> Settings:
    home, now = str(folder / "home"), NOW.isoformat()
    return load_settings(TOKENBOARD_HOME=home, TOKENBOARD_NOW=now, TOKENBOARD_ENCRYPTION_KEY=RING, **more)


def second_key(sandbox: RunningSandbox) -> str:
    return sandbox.world.admin_keys[sandbox.world.organizations[1].id]


def contents(home: Path) -> Iterator[bytes]:
    """Every file of the home; landed pages as they were before compression."""
    for path in home.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            yield zstandard.decompress(content) if path.suffix == ".zst" else content


# --- what is stored and said


def test_an_organization_is_connected_and_its_key_is_nowhere_in_the_clear(
    shell: Shell, sandbox: RunningSandbox
) -> None:
    key = second_key(sandbox)
    ended = shell("--debug", "connect", "--provider", "openai", stdin=f"  {key}\r\n")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines() == [
        "Connected openai-2: openai, organization, owned by us",
        f"It may read: costs and usage, {len(sandbox.world.organizations[1].projects)} project(s), admin keys",
        'The key is "Reporting" and does not expire',
    ]
    nightly = shell("nightly", "--from", "2026-06-01", "--to", "2026-06-01", OPENROUTER_MANAGEMENT_KEY="")
    assert nightly.returncode == 0, nightly.stderr
    assert (shell.home / "landing" / "openai-2").is_dir()
    assert (shell.home / "vault.duckdb").stat().st_mode & 0o777 == 0o600
    secret = key.removeprefix("sk-admin-SANDBOX-").encode()
    said = (ended.stdout + ended.stderr + nightly.stdout + nightly.stderr).encode()
    assert len(secret) == 32
    assert not any(secret in content for content in (said, *contents(shell.home)))
    assert not any(RING.encode() in content for content in (said, *contents(shell.home)))


def test_on_a_terminal_the_key_is_asked_for_and_not_shown(shell: Shell, sandbox: RunningSandbox) -> None:
    ours, theirs = pty.openpty()
    running = subprocess.Popen(
        [SCRIPT, "connect", "--provider", "openai"],
        env=shell.surroundings(),
        cwd=shell.home.parent,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    seen = b""
    while b"Key (it is not shown): " not in seen:
        seen += os.read(ours, 1024)
    os.write(ours, second_key(sandbox).encode() + b"\n")
    try:
        while part := os.read(ours, 1024):
            seen += part
    except OSError:  # how Linux says that the other end is closed
        pass
    os.close(ours)
    assert running.wait(60) == 0, seen
    assert b"Connected openai-2" in seen
    assert second_key(sandbox).encode() not in seen


def test_a_tenants_connection_bears_its_name(shell: Shell, sandbox: RunningSandbox, tmp_path: Path) -> None:
    tenant = sandbox.world.tenants[0].tenant_id
    said = shell.refused("connect", "--provider", "openai", "--tenant", tenant, stdin=second_key(sandbox))
    assert f"No tenant '{tenant}' is registered" in said
    settings = configured(tmp_path, **sandbox.env())
    (tmp_path / "tenants.csv").write_text(sandbox.world.tenants_csv())
    with open_warehouse(settings.warehouse_path) as warehouse:
        import_tenants(warehouse, tmp_path / "tenants.csv", NOW)
    ended = shell("connect", "--provider", "openai", "--tenant", tenant, stdin=second_key(sandbox))
    assert f"Connected openai-{tenant}: openai, organization, owned by {tenant}\n" in ended.stdout
    assert [(c.connection_id, c.tenant_id) for c in connections(settings, "openai")] == [
        ("openai", None),
        (f"openai-{tenant}", tenant),
    ]


def test_an_openrouter_account_is_connected_with_its_management_key(sandbox: RunningSandbox, tmp_path: Path) -> None:
    settings = configured(tmp_path, **{**sandbox.env(), "OPENROUTER_MANAGEMENT_KEY": None})
    done = connect(settings, "openrouter", "organization", None, SecretStr(sandbox.world.management_key))
    assert done.connection.connection_id == "openrouter-2"
    workspaces = len(sandbox.world.account.workspaces)
    assert done.findings.may_read == (f"keys, credits and analytics of {workspaces} workspace(s)",)


def test_a_personal_account_is_read_for_its_balance_only(sandbox: RunningSandbox, settings: Settings) -> None:
    first, second = sandbox.world.session_tokens.values()
    done = connect(settings, "openai", "personal", None, SecretStr(first))
    assert (done.connection.connection_id, done.findings.may_read) == ("openai-personal-2", ("credit balance",))
    assert [c.connection_id for c in connections(settings)] == ["openai", "openrouter"]
    assert [c.connection_id for c in connections(settings, "openai", "personal")] == ["openai-personal-2"]
    with pytest.raises(WrongUse, match="connected already, as openai-personal-2"):
        connect(settings, "openai", "personal", None, SecretStr(first))
    assert connect(settings, "openai", "personal", None, SecretStr(second)).connection.connection_id.endswith("-3")


def test_rotation_says_how_many_and_makes_the_earlier_key_needless(shell: Shell, sandbox: RunningSandbox) -> None:
    assert "Nothing is stored" in shell("vault", "rotate").stdout
    shell("connect", "--provider", "openai", stdin=second_key(sandbox))
    before = (shell.home / "vault.duckdb").read_bytes()
    wrong = shell("vault", "rotate", TOKENBOARD_ENCRYPTION_KEY=NEXT_RING)
    assert wrong.returncode == 2
    assert "TOKENBOARD_ENCRYPTION_KEY" in wrong.stderr
    assert (shell.home / "vault.duckdb").read_bytes() == before
    rotated = shell("vault", "rotate", TOKENBOARD_ENCRYPTION_KEY=f"{NEXT_RING},{RING}")
    assert (rotated.returncode, rotated.stderr) == (0, "")
    assert rotated.stdout.startswith("1 secret(s) encrypted anew")
    assert shell("vault", "rotate", TOKENBOARD_ENCRYPTION_KEY=NEXT_RING).returncode == 0
    assert shell("vault", "rotate").returncode == 2


# --- what is refused


@pytest.mark.parametrize(
    ("stdin", "said"),
    [
        ("", "No key came on stdin"),
        (" \t\n", "No key came on stdin"),
        ("sk-admin-0123456789 abcdef\n", "holds blanks"),
        ("sk-admin-0123456789\tabcdef\n", "holds blanks"),
        (b"sk-admin-0123456789\xff\xfeabcdef\n", "holds blanks or characters that no key has"),
        ("y\n", "too short"),
        ("sk-proj-0123456789abcdef\n", "a project key (sk-proj-...)"),
        ("sk-svcacct-0123456789abcdef\n", "a service account key (sk-svcacct-...)"),
        ("sess-0123456789abcdef\n", "a session key (sess-...)"),
        ("sk-or-v1-0123456789abcdef\n", "a key of OpenRouter (sk-or-...)"),
    ],
)
def test_what_is_no_admin_key_is_not_even_sent(
    shell: Shell, sandbox: RunningSandbox, stdin: str | bytes, said: str
) -> None:
    before = sandbox.request_count()
    words = shell.refused("connect", "--provider", "openai", stdin=stdin)
    assert said in words
    assert "0123456789" not in words
    assert sandbox.request_count() == before


def test_a_key_of_openai_is_not_sent_to_openrouter(shell: Shell, sandbox: RunningSandbox) -> None:
    before = sandbox.request_count()
    assert "a key of OpenAI" in shell.refused("connect", "--provider", "openrouter", stdin=second_key(sandbox))
    assert sandbox.request_count() == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["--provider", "openrouter", "--mode", "personal"],
        ["--provider", "elsewhere"],
        ["--provider", "openai", "--mode", "family"],
        ["--provider", "openai", "sk-admin-0123456789abcdef"],
        [],
    ],
)
def test_arguments_that_cannot_be_meant_are_wrong_use(shell: Shell, arguments: list[str]) -> None:
    assert "0123456789" not in shell.refused("connect", *arguments, stdin="sk-admin-0123456789abcdef")


def test_without_an_encryption_key_no_key_is_asked_for(shell: Shell, sandbox: RunningSandbox) -> None:
    said = shell.refused("connect", "--provider", "openai", stdin=second_key(sandbox), TOKENBOARD_ENCRYPTION_KEY="")
    assert "TOKENBOARD_ENCRYPTION_KEY is not set" in said


def test_refusals_of_the_provider_are_shown_with_what_to_do(shell: Shell, sandbox: RunningSandbox) -> None:
    unknown = shell.refused("connect", "--provider", "openai", stdin="sk-admin-unknown0123456789")
    assert "HTTP 401: Incorrect API key provided" in unknown
    assert "Nothing was stored. It must be an admin key" in unknown
    inference = next(key.value for key in sandbox.world.account.keys if key.disabled_on is None)
    router = shell.refused("connect", "--provider", "openrouter", stdin=inference, OPENROUTER_MANAGEMENT_KEY="")
    assert "it is an inference key, not a management key. Nothing was stored" in router
    personal = shell.refused("connect", "--provider", "openai", "--mode", "personal", stdin=second_key(sandbox))
    assert "must be made with a session key" in personal
    assert "Nothing was stored" in personal


def test_an_account_of_the_environment_is_not_connected_again(shell: Shell, sandbox: RunningSandbox) -> None:
    first = shell.env["OPENAI_ADMIN_KEY"]
    assert "already, as openai." in shell.refused("connect", "--provider", "openai", stdin=first)
    management = sandbox.world.management_key
    assert "already, as openrouter." in shell.refused("connect", "--provider", "openrouter", stdin=management)


# --- a provider whose keys differ in what they may do

KEYS = {
    "sk-admin-one-0123456789": ("org-a", {"costs", "projects", "admin_api_keys"}),
    "sk-admin-two-0123456789": ("org-a", {"costs", "projects", "admin_api_keys"}),
    "sk-admin-other-org-4567": ("org-b", {"costs", "projects", "admin_api_keys"}),
    "sk-admin-reader-0123456": ("org-c", {"costs", "projects"}),
    "sk-admin-no-costs-01234": ("org-d", {"projects", "admin_api_keys"}),
    "sk-admin-no-projects-01": ("org-e", {"costs"}),
}


@contextmanager
def provider(listed: list[dict[str, object]], meanwhile: Callable[[], None] = lambda: None) -> Iterator[str]:
    """An OpenAI in which KEYS are valid; `listed` are the admin keys it names. It repeats the keys it refuses.

    `meanwhile` happens while it answers about costs.
    """

    def answer(path: str, key: str) -> tuple[int, bytes]:
        organization, allowed = KEYS.get(key, ("", set[str]()))
        what = path.partition("?")[0].rpartition("/")[2]
        if what == "costs":
            meanwhile()
        if what not in allowed:
            return 403, json.dumps({"error": {"message": f"The key {key} lacks a scope for {what}"}}).encode()
        data: list[dict[str, object]] = listed if what == "admin_api_keys" else []
        if what == "projects":
            data = [{"id": f"proj_{organization}_{n}", "created_at": n} for n in (1, 2)]
        page = {"object": "list", "data": data, "has_more": False, "next_page": None, "last_id": None}
        return 200, json.dumps(page).encode()

    with provider_that_says(answer) as url:
        yield url


Attempt = Callable[..., str]


@pytest.fixture
def attempt(tmp_path: Path) -> Attempt:
    """Connects a key of KEYS; returns the id and what is known of the key."""

    def connects(key: str, listed: list[dict[str, object]] | None = None, environment: str | None = None) -> str:
        with provider(listed or []) as url:
            urls = {"OPENAI_BASE_URL": url, "OPENROUTER_BASE_URL": url}
            settings = configured(tmp_path, **urls, OPENAI_ADMIN_KEY=environment)
            done = connect(settings, "openai", "organization", None, SecretStr(key))
        found = done.findings
        return f"{done.connection.connection_id}: {', '.join(found.may_read)}; {found.key_name} {found.expires_at}"

    return connects


def test_a_second_key_of_a_known_organization_takes_the_place_of_the_first(attempt: Attempt, tmp_path: Path) -> None:
    attempt("sk-admin-one-0123456789")
    assert attempt("sk-admin-two-0123456789").startswith("openai-2: ")
    assert attempt("sk-admin-other-org-4567").startswith("openai-3: ")
    with read_vault(tmp_path / "home" / "vault.duckdb", KeyRing([bytes([7]) * 32])) as vault:
        found = {each.connection_id: key_of(vault, each).get_secret_value() for each in stored_connections(vault)}
    assert found == {"openai-2": "sk-admin-two-0123456789", "openai-3": "sk-admin-other-org-4567"}


def test_a_key_of_an_organization_that_a_tenant_brought_is_refused(tmp_path: Path) -> None:
    with provider([]) as url:
        settings = configured(tmp_path, OPENAI_BASE_URL=url, OPENROUTER_BASE_URL=url)
        connect(settings, "openai", "organization", "acme", SecretStr("sk-admin-one-0123456789"))
        with pytest.raises(WrongUse, match="same openai account as openai-acme"):
            connect(settings, "openai", "organization", None, SecretStr("sk-admin-two-0123456789"))


def test_a_key_that_somebody_else_connects_meanwhile_is_stored_once(tmp_path: Path) -> None:
    key, vault_path = SecretStr("sk-admin-one-0123456789"), tmp_path / "home" / "vault.duckdb"

    def somebody_else() -> None:
        with change_vault(vault_path, KeyRing([bytes([7]) * 32])) as vault:
            add_connection(vault, "openai", "organization", None, key, NOW)

    with provider([], somebody_else) as url:
        settings = configured(tmp_path, OPENAI_BASE_URL=url, OPENROUTER_BASE_URL=url)
        with pytest.raises(WrongUse, match="connected already, as openai-2"):
            connect(settings, "openai", "organization", None, key)
    assert [c.connection_id for c in connections(settings)] == ["openai-2"]


def test_a_key_of_the_environments_organization_is_refused(attempt: Attempt) -> None:
    with pytest.raises(WrongUse, match="same openai account as openai;"):
        attempt("sk-admin-two-0123456789", environment="sk-admin-one-0123456789")


def test_a_connection_that_has_lost_its_key_does_not_keep_others_out(
    attempt: Attempt, caplog: pytest.LogCaptureFixture
) -> None:
    done = attempt("sk-admin-one-0123456789", environment="sk-admin-revoked-012345")
    assert done.startswith("openai-2: ")
    assert "whether this is the account of openai cannot be known" in caplog.text
    assert "revoked" not in caplog.text


def test_a_key_that_may_only_read_costs_and_projects_is_enough(attempt: Attempt) -> None:
    assert attempt("sk-admin-reader-0123456") == "openai-2: costs and usage, 2 project(s); None None"


@pytest.mark.parametrize(
    ("key", "lacks"), [("sk-admin-no-costs-01234", "costs"), ("sk-admin-no-projects-01", "projects")]
)
def test_a_key_that_may_not_read_what_is_billed_from_is_refused(attempt: Attempt, key: str, lacks: str) -> None:
    with pytest.raises(KeyRefused, match=f"lacks a scope for {lacks}") as caught:
        attempt(key)
    assert key.removeprefix("sk-admin-") not in str(caught.value)


def test_a_key_that_looks_like_none_is_not_repeated_either(attempt: Attempt) -> None:
    with pytest.raises(KeyRefused, match=r"The key \[redacted\] lacks a scope") as caught:
        attempt(clean_key(" oddly-shaped-0123456789 ").get_secret_value())
    assert "oddly-shaped" not in str(caught.value)


def record(redacted: str, name: str | None = "Nightly", expires_at: int | None = None) -> dict[str, object]:
    return {
        "id": f"key_{redacted}",
        "name": name,
        "redacted_value": redacted,
        "created_at": 1,
        "expires_at": expires_at,
    }


@pytest.mark.parametrize(
    ("listed", "known"),
    [
        ([record("sk-admin-...4567", expires_at=1_798_761_600)], "Nightly 2027-01-01 00:00:00+00:00"),
        ([record("sk-admin-***4567"), record("sk-admin-...9999", "Another")], "Nightly None"),
        ([record("sk-admin-...4567", None)], "None None"),
        ([record("sk-admin-...4567"), record("sk-admin-oth...4567", "Twin")], "None None"),
        ([record("sk-proj-...4567")], "None None"),
        ([record("sk-admin-...")], "None None"),
        ([record("sk-admin-other-org-4567")], "None None"),
        ([], "None None"),
    ],
)
def test_a_keys_own_record_is_claimed_only_where_it_is_certain(
    attempt: Attempt, listed: list[dict[str, object]], known: str
) -> None:
    done = attempt("sk-admin-other-org-4567", listed)
    assert done == f"openai-2: costs and usage, 2 project(s), admin keys; {known}"


def test_a_keys_name_cannot_speak_to_the_terminal(shell: Shell) -> None:
    with provider([record("sk-admin-...4567", "a\x1b[31m [bold]\nConnected x")]) as url:
        ended = shell(
            "connect", "--provider", "openai", stdin="sk-admin-other-org-4567", OPENAI_BASE_URL=url, OPENAI_ADMIN_KEY=""
        )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == 'The key is "a?[31m [bold]?Connected x" and does not expire'


# --- a night with two organizations


def test_two_organizations_are_loaded_side_by_side_each_equal_to_its_world(
    sandbox: RunningSandbox, settings: Settings
) -> None:
    days = Window(date(2026, 5, 28), date(2026, 6, 4))
    connect(settings, "openai", "organization", None, SecretStr(second_key(sandbox)))
    with dg.DagsterInstance.ephemeral() as instance:
        run_nightly(settings, days, instance)

    with duckdb.connect(settings.published_path, read_only=True) as published:
        ours = published.execute(
            """
            SELECT usage_date, connection_id, provider_cost_usd, difference_usd FROM billing.reconciliation
            WHERE provider = 'openai'
            """
        ).fetchall()
        tokens = published.execute(
            """
            SELECT connection_id, sum(input_tokens), sum(output_tokens)
            FROM usage.completions GROUP BY connection_id ORDER BY connection_id
            """
        ).fetchall()
        settled = published.execute(
            """
            SELECT connection_id, count(*) FROM ops.source_days
            WHERE report = 'costs' AND state = 'settled' GROUP BY connection_id ORDER BY connection_id
            """
        ).fetchall()

    named = dict(zip(("openai", "openai-2"), sandbox.world.organizations, strict=True))
    costs, counted = defaultdict[tuple[date, str], Decimal](Decimal), list[tuple[str, int, int]]()
    with localcontext(prec=80):
        for connection_id, organization in named.items():
            used = [row for day in days.days() for row in sandbox.world.openai_completions(organization.id, day, NOW)]
            counted.append(
                (connection_id, sum(row.input_tokens for row in used), sum(row.output_tokens for row in used))
            )
            for day in days.days():
                for row in sandbox.world.openai_costs(organization.id, day, NOW):
                    amount = row.amount_usd.quantize(Decimal("1e-18"), ROUND_HALF_UP)
                    costs[day, connection_id] += amount
    assert {(day, connection_id): cost for day, connection_id, cost, _ in ours} == costs
    assert {difference for *_, difference in ours} == {0}
    assert len(ours) == 2 * 7
    assert tokens == counted
    assert settled == [("openai", 7), ("openai-2", 7)]


# --- an organization a tenant brought


@pytest.fixture
def brought(sandbox: RunningSandbox, settings: Settings) -> Settings:
    connect(settings, "openai", "organization", "acme", SecretStr(second_key(sandbox)))
    return settings


def test_spend_on_a_tenants_own_organization_is_shown_and_never_charged(
    sandbox: RunningSandbox, brought: Settings
) -> None:
    days = Window(date(2026, 6, 1), date(2026, 6, 4))
    with dg.DagsterInstance.ephemeral() as instance:
        run_nightly(brought, days, instance)
    world = sandbox.world
    expected = {
        day: sum(
            (
                row.amount_usd.quantize(Decimal("1e-18"), ROUND_HALF_UP)
                for row in world.openai_costs(world.organizations[1].id, day, NOW)
            ),
            Decimal(0),
        )
        for day in days.days()
    }
    with duckdb.connect(brought.published_path, read_only=True) as published:
        shown = published.execute(
            "SELECT usage_date, tenant_id, sum(cost_usd) FROM billing.own_account_costs GROUP BY ALL ORDER BY 1"
        ).fetchall()
        charged = published.execute("SELECT DISTINCT connection_id FROM billing.charges ORDER BY 1").fetchall()
        reconciled = published.execute(
            "SELECT DISTINCT connection_id FROM billing.reconciliation ORDER BY 1"
        ).fetchall()
        gating = published.execute("SELECT DISTINCT connection_id FROM ops.source_days WHERE gates_closing").fetchall()
    assert shown == [(day, "acme", cost) for day, cost in expected.items()]
    assert charged == reconciled == sorted(gating) == [("openai",), ("openrouter",)]


def test_a_tenants_own_organization_that_fails_is_a_warning_and_the_night_goes_on(
    brought: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    days = Window(date(2026, 6, 1), date(2026, 6, 4))
    with change_vault(brought.vault_path, KeyRing(brought.encryption_keys)) as vault:
        (stored,) = stored_connections(vault)
        replace_key(vault, stored, SecretStr("sk-admin-revoked-0123456"), NOW, stored.account_ids)
    with dg.DagsterInstance.ephemeral() as instance:
        run_nightly(brought, days, instance)
    assert brought.published_path.exists()
    assert "openai-acme costs (2026-06-01..2026-06-03) was not read: openai refused the key" in caplog.text
    assert "`tokenboard connect --provider openai --tenant acme`" in caplog.text
    assert "OPENAI_ADMIN_KEY" not in caplog.text
    (told,) = [finding.what for finding in examine(brought) if finding.about == "openai-acme"]
    assert "`tokenboard connect --provider openai --tenant acme`" in told


def test_figures_of_a_tenants_own_organization_that_cannot_be_used_stop_nobodys_night(
    brought: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    days = Window(date(2026, 6, 1), date(2026, 6, 4))
    start = days.start_epoch
    euros = {"object": "organization.costs.result", "amount": {"value": "1.00", "currency": "eur"}}
    bucket = {"object": "bucket", "start_time": start, "end_time": start + 86_400, "results": [euros]}
    page = json.dumps({"object": "page", "data": [bucket], "has_more": False, "next_page": None}).encode()
    opened = begin(brought.landing_path, "openai-acme", "openai", "costs", days, NOW - timedelta(hours=1))
    opened.add(Request("openai", "/organization/costs"), Answer(200, page, None), NOW)
    opened.complete(frozenset({days.start}), NOW)
    with dg.DagsterInstance.ephemeral() as instance:
        run_nightly(brought, days, instance)
    assert brought.published_path.exists()
    assert "openai-acme costs was not loaded: openai costs (2026-06-01..2026-06-03)" in caplog.text


def test_a_tenants_own_organization_is_not_asked_again_for_days_that_moved(
    sandbox: RunningSandbox, brought: Settings
) -> None:
    """Nothing is billed from it, and its provider must not be able to end a night."""
    sandbox.add_fault("later", "/organization/costs", hours=6)
    today = Window.of_days(date(2026, 6, 14), date(2026, 6, 14))
    with dg.DagsterInstance.ephemeral() as instance:
        run_nightly(brought, today, instance)
    loads = Counter(folder.parts[-4] for folder in brought.landing_path.glob("openai*/costs/*/manifest.json"))
    assert loads["openai"] > 1
    assert loads["openai-acme"] == 1
