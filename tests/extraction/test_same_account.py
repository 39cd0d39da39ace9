"""A key of another account in the environment reads nothing: its figures would take the place of the first one's."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date

from pydantic import SecretStr

from tokenboard_etl.connections import Connection, connections
from tokenboard_etl.errors import ConfigurationError
from tokenboard_etl.extraction import REPORTS, Failure, Undertaking, extract_all
from tokenboard_etl.landing import Landing, failures
from tokenboard_etl.periods import Window
from tokenboard_etl.providers.sandbox.server import RunningSandbox, running_sandbox
from tokenboard_etl.settings import Settings

DAY = Window.of_days(date(2026, 6, 13), date(2026, 6, 13))
LISTS = {"openai": "projects", "openrouter": "keys"}


def read(settings: Settings, connection: Connection, report: str) -> Landing | Failure:
    about = Undertaking(DAY, settings.landing_path, lambda: settings.now)
    return asyncio.run(extract_all([connection], [REPORTS[connection.provider, report]], about))[0]


def known(settings: Settings, provider: str) -> Connection:
    """A connection whose list was read once."""
    [connection] = connections(settings, provider)
    assert isinstance(read(settings, connection, LISTS[provider]), Landing)
    return connection


def test_a_key_of_another_organization_reads_nothing(sandbox: RunningSandbox, settings: Settings) -> None:
    first = known(settings, "openai")
    other = sandbox.world.admin_keys[sandbox.world.organizations[1].id]
    asked = sandbox.request_count("/organization/costs")
    outcome = read(settings, replace(first, key=SecretStr(other)), "costs")
    assert isinstance(outcome, Failure)
    assert isinstance(outcome.error, ConfigurationError)
    assert "OPENAI_ADMIN_KEY is of another openai account" in str(outcome.error)
    assert sandbox.request_count("/organization/costs") == asked
    [note] = failures(settings.landing_path, ["openai"])
    assert (note.report, note.kind) == ("costs", "ConfigurationError")
    assert isinstance(read(settings, first, "costs"), Landing)


def test_another_account_at_the_same_router_reads_nothing(settings: Settings) -> None:
    first = known(settings, "openrouter")
    with running_sandbox(seed=99, now=settings.now) as elsewhere:
        key = SecretStr(elsewhere.world.management_key)
        other = replace(first, base_url=elsewhere.env()["OPENROUTER_BASE_URL"], key=key)
        outcome = read(settings, other, "analytics_total")
    assert isinstance(outcome, Failure)
    assert "none of its" in str(outcome.error)


def test_what_tells_accounts_apart_may_change_while_the_account_is_the_same(
    sandbox: RunningSandbox, settings: Settings
) -> None:
    """The sandbox has one key an organization, so it is the header that is new here."""
    first = known(settings, "openai")
    named = replace(first, headers={"OpenAI-Organization": sandbox.world.organizations[0].id})
    assert named.fingerprint != first.fingerprint
    asked = sandbox.request_count("/organization/projects")
    assert isinstance(read(settings, named, "costs"), Landing)
    assert sandbox.request_count("/organization/projects") > asked
