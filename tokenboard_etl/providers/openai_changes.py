"""OpenAI's projects, service accounts and their keys: making and removing them.

| call | endpoint | if sent twice |
|---|---|---|
| create_project | POST /organization/projects | two projects: it is sent once |
| archive_project | POST /organization/projects/{id}/archive | it stays archived; there is no way back |
| create_service_account | POST /organization/projects/{id}/service_accounts | two: it is sent once; shows the key |
| service_accounts_of | GET /organization/projects/{id}/service_accounts | |
| delete_service_account | DELETE /organization/projects/{id}/service_accounts/{id} | gone is gone, its keys too |
| keys_of | GET /organization/projects/{id}/api_keys | |
| delete_key | DELETE /organization/projects/{id}/api_keys/{id} | gone is gone |

`external_key_id` of a project is never set: it names a customer's own encryption key (EKM), it is no label of ours.
"""

from __future__ import annotations

from urllib.parse import quote

from tokenboard_etl.providers.openai_buckets import PROVIDER
from tokenboard_etl.providers.openai_entities import Project
from tokenboard_etl.providers.openai_lists import Listed, ListPage, listed
from tokenboard_etl.providers.wire import Fetch, Request, Wire, WireKey, delete, read


class NewKey(Wire):
    """`value` is shown here and never again; it does not show in a repr."""

    id: str
    value: WireKey
    created_at: int
    expires_at: int | None = None


class NewServiceAccount(Wire):
    id: str
    name: str
    role: str
    created_at: int
    api_key: NewKey | None


class OwningAccount(Wire):
    id: str


class Owner(Wire):
    service_account: OwningAccount | None = None


class OwnedKey(Listed):
    """A key without its value. `owner.service_account` is None for a person's key."""

    owner: Owner


async def create_project(fetch: Fetch, name: str) -> Project:
    """Creates a project. Never repeated: names need not be unique, so a second call makes a second project."""
    request = Request(PROVIDER, "/organization/projects", method="POST", body={"name": name}, repeatable=False)
    return read(Project, request, await fetch(request))


async def archive_project(fetch: Fetch, project_id: str) -> Project:
    """Archives a project for good; its service accounts and their keys are gone with it."""
    request = Request(PROVIDER, _path(project_id, "archive"), method="POST")
    return read(Project, request, await fetch(request))


async def create_service_account(fetch: Fetch, project_id: str, name: str) -> NewServiceAccount:
    """Creates a service account with a key. Never repeated: a second call makes a second account."""
    path = _path(project_id, "service_accounts")
    request = Request(PROVIDER, path, method="POST", body={"name": name}, repeatable=False)
    return read(NewServiceAccount, request, await fetch(request))


async def service_accounts_of(fetch: Fetch, project_id: str) -> list[Listed]:
    """The service accounts of one project; raises ProviderRejected (400) for an archived one."""
    request = Request(PROVIDER, _path(project_id, "service_accounts"), (("limit", "100"),))
    return await listed(fetch, request, ListPage[Listed])


async def delete_service_account(fetch: Fetch, project_id: str, account_id: str) -> bool:
    """Deletes a service account with all of its keys; False if it was gone already."""
    path = _path(project_id, "service_accounts", account_id)
    return await delete(fetch, Request(PROVIDER, path, method="DELETE"))


async def keys_of(fetch: Fetch, project_id: str) -> list[OwnedKey]:
    """Every key of one project and whose it is. Without `any` keys whose owner lost access would be left out."""
    params = (("limit", "100"), ("owner_project_access", "any"))
    return await listed(fetch, Request(PROVIDER, _path(project_id, "api_keys"), params), ListPage[OwnedKey])


async def delete_key(fetch: Fetch, project_id: str, key_id: str) -> bool:
    """Deletes one key; False if it was gone already.

    Raises ProviderRejected (400) where a service account's key goes only with its account.
    """
    return await delete(fetch, Request(PROVIDER, _path(project_id, "api_keys", key_id), method="DELETE"))


def _path(project_id: str, *parts: str) -> str:
    return "/".join(("/organization/projects", *(quote(part, safe="") for part in (project_id, *parts))))
