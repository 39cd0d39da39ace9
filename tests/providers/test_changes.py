"""The calls that change something at a provider, against the sandbox: what is sent, what it does, what comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from typing import Any

import pytest

from tokenboard_etl.errors import MalformedAnswer, ProviderRejected
from tokenboard_etl.providers import openai_accounts, openai_changes, openai_entities, openai_limits, openrouter_changes
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.providers.wire import Fetch

Ask = Callable[[str, Callable[[Fetch], Awaitable[Any]]], Any]


@pytest.fixture
def ask(live: Callable[..., AbstractAsyncContextManager[Any]]) -> Ask:
    """Does something at a provider of the sandbox."""

    def asked(provider: str, use: Callable[[Fetch], Awaitable[Any]]) -> Any:
        async def answer() -> Any:
            async with live(provider) as server:
                return await use(server.fetch)

        return asyncio.run(answer())

    return asked


def in_a_new_project(use: Callable[[Fetch, str], Awaitable[Any]]) -> Callable[[Fetch], Awaitable[Any]]:
    async def used(fetch: Fetch) -> Any:
        return await use(fetch, (await openai_changes.create_project(fetch, "Atlas & Co")).id)

    return used


def test_a_project_is_made_listed_and_archived(ask: Ask) -> None:
    async def use(fetch: Fetch, project_id: str) -> None:
        (made,) = [each for each in await openai_entities.projects(fetch) if each.id == project_id]
        assert (made.name, made.is_archived, made.external_key_id) == ("Atlas & Co", False, None)
        assert (await openai_changes.archive_project(fetch, project_id)).is_archived
        assert (await openai_changes.archive_project(fetch, project_id)).is_archived

    ask("openai", in_a_new_project(use))


def test_a_service_account_comes_with_a_key_and_takes_it_along(ask: Ask) -> None:
    async def use(fetch: Fetch, project_id: str) -> None:
        made = await openai_changes.create_service_account(fetch, project_id, "default")
        assert made.api_key.value.get_secret_value().startswith("sk-svcacct-")
        assert [each.id for each in await openai_changes.service_accounts_of(fetch, project_id)] == [made.id]
        (key,) = await openai_changes.keys_of(fetch, project_id)
        assert (key.id, key.owner.service_account.id) == (made.api_key.id, made.id)
        assert await openai_changes.delete_service_account(fetch, project_id, made.id) is True
        assert await openai_changes.delete_service_account(fetch, project_id, made.id) is False
        assert await openai_changes.keys_of(fetch, project_id) == []

    ask("openai", in_a_new_project(use))


def test_one_key_is_deleted_and_its_account_stays(ask: Ask) -> None:
    async def use(fetch: Fetch, project_id: str) -> None:
        made = await openai_changes.create_service_account(fetch, project_id, "default")
        assert await openai_changes.delete_key(fetch, project_id, made.api_key.id) is True
        assert await openai_changes.delete_key(fetch, project_id, made.api_key.id) is False
        assert len(await openai_changes.service_accounts_of(fetch, project_id)) == 1

    ask("openai", in_a_new_project(use))


def test_a_spend_limit_is_in_cents_and_can_be_replaced(ask: Ask) -> None:
    async def use(fetch: Fetch, project_id: str) -> None:
        for cents in (50_000, 1):
            assert (await openai_limits.set_spend_limit(fetch, project_id, cents)).threshold_amount == cents
        assert (await openai_accounts.spend_limit(fetch, project_id)).threshold_amount == 1
        with pytest.raises(ProviderRejected, match="at least 1"):
            await openai_limits.set_spend_limit(fetch, project_id, 0)

    ask("openai", in_a_new_project(use))


def test_alerts_are_made_changed_and_deleted(ask: Ask) -> None:
    async def use(fetch: Fetch, project_id: str) -> None:
        made = await openai_limits.create_spend_alert(fetch, project_id, 5_000, ["ops@example.com"], "[x]")
        changed = await openai_limits.change_spend_alert(fetch, project_id, made.id, 7_000, ["a@b.example"], "[x]")
        assert await openai_limits.spend_alerts(fetch, project_id) == [changed]
        assert (changed.id, changed.threshold_amount) == (made.id, 7_000)
        assert changed.notification_channel.recipients == ["a@b.example"]
        assert await openai_limits.delete_spend_alert(fetch, project_id, made.id) is True
        assert await openai_limits.delete_spend_alert(fetch, project_id, made.id) is False
        assert await openai_limits.spend_alerts(fetch, project_id) == []

    ask("openai", in_a_new_project(use))


def test_a_key_of_openrouter_is_made_changed_and_deleted(ask: Ask, sandbox: RunningSandbox) -> None:
    async def use(fetch: Fetch) -> None:
        made = await openrouter_changes.create_key(fetch, "Atlas", Decimal("12.50"))
        assert (made.data.name, made.data.limit, made.data.limit_reset) == ("Atlas", Decimal("12.5"), "monthly")
        assert sandbox.sandbox.account.by_value(made.key.get_secret_value()).hash == made.data.hash
        limited = await openrouter_changes.set_limit(fetch, made.data.hash, Decimal("0.10"))
        assert (limited.limit, limited.limit_reset, limited.name) == (Decimal("0.1"), "monthly", "Atlas")
        assert (await openrouter_changes.set_limit(fetch, made.data.hash, None)).limit is None
        off = await openrouter_changes.change_key(fetch, made.data.hash, disabled=True, name="Atlas 2")
        assert (off.disabled, off.name, off.limit) == (True, "Atlas 2", None)
        assert await openrouter_changes.find_key(fetch, made.data.hash) == off
        assert await openrouter_changes.delete_key(fetch, made.data.hash) is True
        assert await openrouter_changes.delete_key(fetch, made.data.hash) is False
        assert await openrouter_changes.find_key(fetch, made.data.hash) is None

    ask("openrouter", use)


def test_only_what_makes_a_second_thing_is_sent_once(ask: Ask, sandbox: RunningSandbox) -> None:
    """What may be repeated is repeated after an answer that was lost; what creates is not."""

    async def use(fetch: Fetch, project_id: str) -> None:
        sandbox.add_fault("crash_after_create", f"POST /openai/v1/organization/projects/{project_id}", times=1)
        await openai_limits.set_spend_limit(fetch, project_id, 100)
        sandbox.add_fault("crash_after_create", f"POST /openai/v1/organization/projects/{project_id}", times=1)
        with pytest.raises(Exception, match="broke off"):
            await openai_limits.create_spend_alert(fetch, project_id, 100, ["ops@example.com"], "[x]")
        assert len(await openai_limits.spend_alerts(fetch, project_id)) == 1

    ask("openai", in_a_new_project(use))


def test_a_deletion_that_is_not_confirmed_is_none(pages: Any) -> None:
    with pytest.raises(MalformedAnswer, match=r"\$\.deleted"):
        asyncio.run(openrouter_changes.delete_key(pages({"deleted": False}).fetch, "0" * 64))
