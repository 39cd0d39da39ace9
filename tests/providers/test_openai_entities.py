"""What belongs to OpenAI's projects: read for each, to the end, and one refusal does not hide the others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from tokenboard_etl.errors import KeyRefused, LoadRefused, MalformedAnswer, PaginationStalled, ProviderRejected
from tokenboard_etl.providers import openai_entities
from tokenboard_etl.providers.openai_entities import Project
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.providers.wire import Fetch, Request

ACTIVE = [Project(id=f"proj_{each}", created_at=1, status="active") for each in range(5)]
ARCHIVED = Project(id="proj_gone", created_at=1, archived_at=2, status="archived")
Read = Callable[[Fetch, Sequence[Project]], Awaitable[None]]
LISTS = [openai_entities.service_accounts, openai_entities.project_keys]
PER_PROJECT = [*LISTS, openai_entities.spend_limits]
LIMIT = {"object": "project.spend_limit", "threshold_amount": 5, "currency": "USD", "interval": "month"}


def refused(status: int) -> ProviderRejected:
    return ProviderRejected("openai", "GET /x", f"HTTP {status}: no", status=status)


def answering(project: str, answer: Any, asked: list[Request] | None = None) -> Fetch:
    """Answers every project alike, but one."""

    async def fetch(request: Request) -> Any:
        if asked is not None:
            asked.append(request)
        await asyncio.sleep(0)
        if request.context["project_id"] == project:
            if isinstance(answer, Exception):
                raise answer
            return answer
        return LIMIT if request.path.endswith("spend_limit") else {"object": "list", "data": [], "has_more": False}

    return fetch


@pytest.mark.parametrize("read", PER_PROJECT)
def test_every_project_is_asked_about_and_named_in_the_landing(read: Read) -> None:
    asked: list[Request] = []
    asyncio.run(read(answering("", None, asked), ACTIVE))
    assert [request.context for request in asked] == [{"project_id": project.id} for project in ACTIVE]
    assert all(f"/projects/{request.context['project_id']}/" in request.path for request in asked)


@pytest.mark.parametrize("read", PER_PROJECT)
def test_an_id_cannot_lead_to_another_path(read: Read) -> None:
    asked: list[Request] = []
    asyncio.run(read(answering("", None, asked), [Project(id="../users?x=", created_at=1)]))
    assert asked[0].path.startswith("/organization/projects/..%2Fusers%3Fx%3D/")


def test_archived_projects_are_asked_for_keys_alone() -> None:
    for read, count in ((LISTS[0], 5), (LISTS[1], 6), (openai_entities.spend_limits, 5)):
        asked: list[Request] = []
        asyncio.run(read(answering("", None, asked), [*ACTIVE, ARCHIVED]))
        assert len(asked) == count


def test_keys_are_asked_for_whatever_access_their_owner_has_left() -> None:
    asked: list[Request] = []
    asyncio.run(openai_entities.project_keys(answering("", None, asked), ACTIVE[:1]))
    assert asked[0].params == (("limit", "100"), ("owner_project_access", "any"))


@pytest.mark.parametrize("read", PER_PROJECT)
@pytest.mark.parametrize("status", [400, 404])
def test_a_project_that_is_refused_is_left_out(read: Read, status: int, caplog: pytest.LogCaptureFixture) -> None:
    asked: list[Request] = []
    asyncio.run(read(answering("proj_2", refused(status), asked), ACTIVE))
    assert len(asked) == 5
    assert "left out" in caplog.text


@pytest.mark.parametrize("read", PER_PROJECT)
def test_a_report_that_is_refused_for_every_active_project_is_refused(read: Read) -> None:
    with pytest.raises(ProviderRejected):
        asyncio.run(read(answering("proj_0", refused(404)), [ACTIVE[0], ARCHIVED]))


@pytest.mark.parametrize("active", [[], ACTIVE[:1]])
def test_archived_projects_never_refuse_a_report(active: list[Project], caplog: pytest.LogCaptureFixture) -> None:
    asyncio.run(openai_entities.project_keys(answering(ARCHIVED.id, refused(400)), [*active, ARCHIVED]))
    assert "left out" not in caplog.text


@pytest.mark.parametrize("read", PER_PROJECT)
@pytest.mark.parametrize(
    "error", [refused(422), KeyRefused("openai", "GET /x", "HTTP 403", "")], ids=["rejected", "key refused"]
)
def test_another_error_ends_the_report(read: Read, error: Exception) -> None:
    async def fetch(request: Request) -> Any:
        if request.context["project_id"] == "proj_0":
            raise error
        return None if "spend_limit" in request.path else {"data": [], "has_more": False}

    with pytest.raises(type(error)):
        asyncio.run(read(fetch, ACTIVE))


@pytest.mark.parametrize("read", LISTS)
@pytest.mark.parametrize("body", [{}, None, {"data": [{"id": ""}], "has_more": False}, {"data": []}])
def test_a_list_that_is_none_is_malformed(read: Read, body: Any) -> None:
    with pytest.raises(MalformedAnswer):
        asyncio.run(read(answering("proj_0", body), ACTIVE))


@pytest.mark.parametrize("read", LISTS)
def test_a_cursor_that_comes_twice_is_an_error(read: Read) -> None:
    item = {"id": "a", "name": "n", "created_at": 1}
    with pytest.raises(PaginationStalled, match="came twice"):
        asyncio.run(read(answering("proj_0", {"data": [item], "has_more": True}), ACTIVE))


def test_a_limit_that_is_not_in_dollars_is_refused() -> None:
    with pytest.raises(LoadRefused, match="'EUR', not USD"):
        asyncio.run(openai_entities.spend_limits(answering("proj_0", {**LIMIT, "currency": "EUR"}), ACTIVE))


def test_pages_of_any_size_give_the_same_keys(live: Any, sandbox: RunningSandbox) -> None:
    """The world as oracle: a project's keys, by id."""

    def smaller(limit: int) -> Callable[[Request], Request]:
        def change(request: Request) -> Request:
            params = tuple((name, str(limit) if name == "limit" else value) for name, value in request.params)
            return Request(request.provider, request.path, params, context=request.context)

        return change

    async def read(limit: int) -> list[str]:
        async with live("openai", change=smaller(limit)) as server:
            known = await openai_entities.projects(server.fetch)
            server.answers.clear()
            await openai_entities.project_keys(server.fetch, known)
            return sorted(key["id"] for answer in server.answers for key in answer["data"])

    expected = sorted(key.id for project in sandbox.world.organizations[0].projects for key in project.keys)
    for limit in (1, 100):
        assert asyncio.run(read(limit)) == expected
