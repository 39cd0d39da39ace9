"""OpenAI's projects and what belongs to them, as of now.

| report | endpoint | notes |
|---|---|---|
| projects | GET /organization/projects | archived ones too: old costs point at them |
| service_accounts | GET /organization/projects/{id}/service_accounts | an archived project has none and answers 400 |
| project_keys | GET /organization/projects/{id}/api_keys | of everybody, whatever access the owner still has |
| spend_limits | GET /organization/projects/{id}/spend_limit | whole cents a month; 404 where none is set |

Keys come without their value. Requests about single projects carry `project_id` in their context.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import quote

from tokenboard_etl.errors import LoadRefused, ProviderRejected
from tokenboard_etl.providers.openai_accounts import spend_limit
from tokenboard_etl.providers.openai_buckets import PROVIDER
from tokenboard_etl.providers.openai_lists import Listed, ListPage, listed
from tokenboard_etl.providers.together import side_by_side
from tokenboard_etl.providers.wire import Fetch, Request

log = logging.getLogger("tokenboard.openai")


class Project(Listed):
    archived_at: int | None = None
    status: str | None = None
    external_key_id: str | None = None

    @property
    def is_archived(self) -> bool:
        return self.archived_at is not None or self.status == "archived"


class ServiceAccount(Listed):
    role: str | None = None


class ApiKey(Listed):
    """`owner_project_access` is inactive where the owner has left the project."""

    last_used_at: int | None = None
    expires_at: int | None = None
    owner_project_access: str | None = None


async def projects(fetch: Fetch) -> list[Project]:
    """Every project, archived ones included."""
    first = Request(PROVIDER, "/organization/projects", (("limit", "100"), ("include_archived", "true")))
    return await listed(fetch, first, ListPage[Project])


async def service_accounts(fetch: Fetch, of: Sequence[Project]) -> None:
    """The service accounts of projects; archived ones have none any more and are not asked."""

    async def read_one(project: Project) -> None:
        await listed(fetch, _about(project, "service_accounts", ("limit", "100")), ListPage[ServiceAccount])

    await _each([project for project in of if not project.is_archived], read_one)


async def project_keys(fetch: Fetch, of: Sequence[Project]) -> None:
    """The API keys of projects. Without `any` keys whose owner lost access would be left out."""

    async def read_one(project: Project) -> None:
        asked = _about(project, "api_keys", ("limit", "100"), ("owner_project_access", "any"))
        await listed(fetch, asked, ListPage[ApiKey])

    await _each(of, read_one)


async def spend_limits(fetch: Fetch, of: Sequence[Project]) -> None:
    """The monthly hard limits of projects that can still spend. Raises LoadRefused for one that is not in USD."""

    async def read_one(project: Project) -> None:
        limit = await spend_limit(fetch, project.id)
        if limit is not None and limit.currency.upper() != "USD":
            raise LoadRefused(
                f"{PROVIDER}: the spend limit of project {project.id} is in {limit.currency!r}, not USD. No limit was "
                "loaded; this system counts in US dollars."
            )

    await _each([project for project in of if not project.is_archived], read_one)


def _about(project: Project, what: str, *params: tuple[str, str]) -> Request:
    path = f"/organization/projects/{quote(project.id, safe='')}/{what}"
    return Request(PROVIDER, path, params, context={"project_id": project.id})


async def _each(of: Sequence[Project], read_one: Callable[[Project], Awaitable[None]]) -> None:
    """Reads of all projects side by side; no body outlives its own read, and an error stops those under way.

    A project the provider refuses (400, 404: archived meanwhile, or closed) is left out and so stays as it was known.
    When it refuses every active one, it refuses the report.
    """
    refused: list[ProviderRejected] = []

    async def attempt(project: Project) -> None:
        try:
            await read_one(project)
        except ProviderRejected as refusal:
            if refusal.status not in (400, 404):
                raise
            if not project.is_archived:
                refused.append(refusal)

    await side_by_side([attempt(project) for project in of])
    if refused and len(refused) == sum(not project.is_archived for project in of):
        raise refused[0]
    for refusal in refused:
        log.warning("left out: %s", refusal)
