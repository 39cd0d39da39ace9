"""Inventories of keys: those of a project, and the organization's admin keys. Values are never shown here."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tokenboard_etl.providers.sandbox.draws import code
from tokenboard_etl.providers.sandbox.exact_json import ExactJSON
from tokenboard_etl.providers.sandbox.openai_http import (
    OpenAIError,
    body_of,
    epoch_of,
    listing,
    organization,
    project_of,
    text_of,
)
from tokenboard_etl.providers.sandbox.openai_state import Key, OrganizationState, ProjectState
from tokenboard_etl.providers.sandbox.state import sandbox_of

_ACCESS = ("active", "inactive", "any")
_LONGEST_LIFETIME_S = 31_536_000


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
    org = organization(request)
    return listing(request, [_admin_key(request), *(_made_admin_key(org, key) for key in org.admin_keys.values())])


async def create_admin_key(request: Request) -> Response:
    """A further admin key, for inventories: nothing in the sandbox opens with it."""
    org, body, now = organization(request), await body_of(request), epoch_of(request)
    name, lifetime = text_of(body, "name"), body.get("expires_in_seconds")
    if lifetime is not None and (not isinstance(lifetime, int) or not 1 <= lifetime <= _LONGEST_LIFETIME_S):
        raise OpenAIError(400, "expires_in_seconds must be from 1 to 31536000.", param="expires_in_seconds")
    key_id = org.new_id("key_", 16)
    value = f"sk-admin-SANDBOX-{code(40, key_id)}"
    expires = None if lifetime is None else now + lifetime
    key = org.admin_keys[key_id] = Key(key_id, name, f"sk-admin-...{value[-4:]}", now, None, None, expires)
    return ExactJSON({**_made_admin_key(org, key), "value": value})


async def get_admin_key(request: Request) -> Response:
    org, key_id = organization(request), request.path_params["key_id"]
    key = _admin_key(request)
    if key_id in org.admin_keys:
        key = _made_admin_key(org, org.admin_keys[key_id])
    elif key_id != key["id"]:
        raise OpenAIError(404, "No such admin API key", code="not_found")
    return ExactJSON(key)


ROUTES = [
    Route("/organization/projects/{project_id}/api_keys", list_keys),
    Route("/organization/projects/{project_id}/api_keys/{key_id}", get_key),
    Route("/organization/projects/{project_id}/api_keys/{key_id}", delete_key, methods=["DELETE"]),
    Route("/organization/admin_api_keys", list_admin_keys),
    Route("/organization/admin_api_keys", create_admin_key, methods=["POST"]),
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
    """The key that everything is read with; in use right now."""
    org = organization(request)
    value = sandbox_of(request).world.admin_keys[org.org.id]
    created = int(org.org.projects[0].created_at.timestamp())
    key = Key(f"key_{code(16, org.org.id, 'admin')}", "Reporting", f"sk-admin-...{value[-4:]}", created, None, None)
    return {**_made_admin_key(org, key), "last_used_at": epoch_of(request)}


def _made_admin_key(org: OrganizationState, key: Key) -> dict[str, Any]:
    owner = org.org.people[0]
    return {
        "object": "organization.admin_api_key",
        "id": key.id,
        "name": key.name,
        "redacted_value": key.redacted_value,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "last_used_at": None,
        "owner": {
            "type": "user",
            "object": "organization.user",
            "id": owner.id,
            "name": owner.name,
            "created_at": int(org.org.projects[0].created_at.timestamp()),
            "role": "owner",
        },
    }
