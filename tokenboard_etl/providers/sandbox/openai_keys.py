"""Inventories of keys: those of a project, and the organization's admin keys. Values are never shown here."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tokenboard_etl.providers.sandbox.draws import code
from tokenboard_etl.providers.sandbox.exact_json import ExactJSON
from tokenboard_etl.providers.sandbox.openai_http import OpenAIError, epoch_of, listing, organization, project_of
from tokenboard_etl.providers.sandbox.openai_state import Key, ProjectState
from tokenboard_etl.providers.sandbox.state import sandbox_of

_ACCESS = ("active", "inactive", "any")


async def list_keys(request: Request) -> Response:
    _, project = project_of(request)
    access = request.query_params.get("owner_project_access", "active")
    if access not in _ACCESS:
        raise OpenAIError(400, f"Supported values are: {_ACCESS}", param="owner_project_access")
    items = [key_json(project, key, epoch_of(request)) for key in project.keys.values()]
    return listing(request, [item for item in items if access in ("any", item["owner_project_access"])])


async def get_key(request: Request) -> Response:
    project, key = _key_of(request)
    return ExactJSON(key_json(project, key, epoch_of(request)))


async def delete_key(request: Request) -> Response:
    project, key = _key_of(request)
    del project.keys[key.id]
    return ExactJSON({"object": "organization.project.api_key.deleted", "id": key.id, "deleted": True})


async def list_admin_keys(request: Request) -> Response:
    return listing(request, [_admin_key(request)])


async def get_admin_key(request: Request) -> Response:
    key = _admin_key(request)
    if request.path_params["key_id"] != key["id"]:
        raise OpenAIError(404, "No such admin API key", code="not_found")
    return ExactJSON(key)


ROUTES = [
    Route("/organization/projects/{project_id}/api_keys", list_keys),
    Route("/organization/projects/{project_id}/api_keys/{key_id}", get_key),
    Route("/organization/projects/{project_id}/api_keys/{key_id}", delete_key, methods=["DELETE"]),
    Route("/organization/admin_api_keys", list_admin_keys),
    Route("/organization/admin_api_keys/{key_id}", get_admin_key),
]


def key_json(project: ProjectState, key: Key, now: int) -> dict[str, Any]:
    """A key whose service account lost its membership (role none) has no access to the project any more."""
    account = project.accounts.get(key.account_id) if key.account_id else None
    owner: dict[str, Any] = {"type": "user"}
    if key.account_id is not None:
        name = account.name if account else key.name
        role = account.role if account else "none"
        owner = {
            "type": "service_account",
            "service_account": {"id": key.account_id, "name": name, "created_at": key.created_at, "role": role},
        }
    elif key.owner is not None:
        person = key.owner
        owner["user"] = {
            "id": person.id,
            "name": person.name,
            "email": person.email,
            "created_at": project.created_at,
            "role": "member",
        }
    active = key.account_id is None or (account is not None and account.role != "none")
    return {
        "object": "organization.project.api_key",
        "id": key.id,
        "name": key.name,
        "redacted_value": key.redacted_value,
        "created_at": key.created_at,
        "last_used_at": now - now % 3600 if project.born is not None else None,
        "owner_project_access": "active" if active else "inactive",
        "owner": owner,
        "expires_at": key.expires_at,
    }


def _key_of(request: Request) -> tuple[ProjectState, Key]:
    _, project = project_of(request)
    key_id = request.path_params["key_id"]
    if key_id not in project.keys:
        raise OpenAIError(404, f"No such API key: {key_id}", code="not_found")
    return project, project.keys[key_id]


def _admin_key(request: Request) -> dict[str, Any]:
    org = organization(request)
    value = sandbox_of(request).world.admin_keys[org.org.id]
    owner = org.org.people[0]
    created = int(org.org.projects[0].created_at.timestamp())
    return {
        "object": "organization.admin_api_key",
        "id": f"key_{code(16, org.org.id, 'admin')}",
        "name": "Reporting",
        "redacted_value": f"sk-admin-...{value[-4:]}",
        "created_at": created,
        "expires_at": None,
        "last_used_at": epoch_of(request),
        "owner": {
            "type": "user",
            "object": "organization.user",
            "id": owner.id,
            "name": owner.name,
            "created_at": created,
            "role": "owner",
        },
    }
