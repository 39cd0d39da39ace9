"""Service accounts of a project and the keys that are shown once."""

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
    now_of,
    project_of,
    text_of,
)
from tokenboard_etl.providers.sandbox.openai_projects import refuse_archived
from tokenboard_etl.providers.sandbox.openai_state import Account, Key, OrganizationState, ProjectState

_ROLES = ("member", "owner")


async def list_accounts(request: Request) -> Response:
    _, project = project_of(request)
    refuse_archived(project, now_of(request))
    return listing(request, (account_json(account) for account in project.accounts.values()))


async def create_account(request: Request) -> Response:
    org, project = project_of(request)
    refuse_archived(project, now_of(request))
    if project.is_default:
        raise OpenAIError(400, "Service accounts cannot be added to the default project.")
    body = await body_of(request)
    name, lifetime = text_of(body, "name"), body.get("expires_in_seconds")
    bare = body.get("create_service_account_only") is True
    if bare and lifetime is not None:
        raise OpenAIError(400, "expires_in_seconds needs an API key to be created.", param="expires_in_seconds")
    account = Account(org.new_id("svc_acct_"), name, "none" if bare else "member", epoch_of(request))
    account.hidden_reads = org.first_reads_hidden(account.id)
    project.accounts[account.id] = account
    key = None if bare else _new_key(org, project, account, "Secret Key", epoch_of(request), lifetime)
    return ExactJSON({**account_json(account), "api_key": key})


async def get_account(request: Request) -> Response:
    _, _, account = _account_of(request)
    if account.hidden_reads:
        account.hidden_reads -= 1
        raise _unknown(account.id)
    return ExactJSON(account_json(account))


async def update_account(request: Request) -> Response:
    _, project, account = _account_of(request)
    refuse_archived(project, now_of(request))
    body = await body_of(request)
    if body.get("name") is not None:
        account.name = text_of(body, "name")
    if body.get("role") is not None:
        if body["role"] not in _ROLES:
            raise OpenAIError(400, f"Supported values are: {_ROLES}", param="role")
        account.role = body["role"]
    return ExactJSON(account_json(account))


async def delete_account(request: Request) -> Response:
    _, project, account = _account_of(request)
    refuse_archived(project, now_of(request))
    del project.accounts[account.id]
    project.keys = {key.id: key for key in project.keys.values() if key.account_id != account.id}
    deleted = {"object": "organization.project.service_account.deleted", "id": account.id, "deleted": True}
    return ExactJSON(deleted)


async def create_account_key(request: Request) -> Response:
    org, project, account = _account_of(request)
    refuse_archived(project, now_of(request))
    body = await body_of(request)
    name = body.get("name") or "Secret Key"
    return ExactJSON(_new_key(org, project, account, name, epoch_of(request), body.get("expires_in_seconds")))


_ONE = "/organization/projects/{project_id}/service_accounts/{account_id}"
ROUTES = [
    Route("/organization/projects/{project_id}/service_accounts", list_accounts),
    Route("/organization/projects/{project_id}/service_accounts", create_account, methods=["POST"]),
    Route(_ONE, get_account),
    Route(_ONE, update_account, methods=["POST"]),
    Route(_ONE, delete_account, methods=["DELETE"]),
    Route(f"{_ONE}/api_keys", create_account_key, methods=["POST"]),
]


def account_json(account: Account) -> dict[str, Any]:
    return {
        "object": "organization.project.service_account",
        "id": account.id,
        "name": account.name,
        "role": account.role,
        "created_at": account.created_at,
    }


def _account_of(request: Request) -> tuple[OrganizationState, ProjectState, Account]:
    org, project = project_of(request)
    account_id = request.path_params["account_id"]
    if account_id not in project.accounts:
        refuse_archived(project, now_of(request))
        raise _unknown(account_id)
    return org, project, project.accounts[account_id]


def _unknown(account_id: str) -> OpenAIError:
    return OpenAIError(404, f"Service account {account_id} not found", code="not_found")


def _new_key(
    org: OrganizationState, project: ProjectState, account: Account, name: str, now: int, lifetime: int | None
) -> dict[str, Any]:
    """Makes a key and the only answer that ever holds its value."""
    key_id = org.new_id("key_", 16)
    value = f"sk-svcacct-SANDBOX-{code(40, key_id)}"
    expires = None if lifetime is None else now + lifetime
    project.keys[key_id] = Key(key_id, name, f"sk-svcacct-...{value[-4:]}", now, None, account.id, expires)
    return {
        "object": "organization.project.service_account.api_key",
        "id": key_id,
        "name": name,
        "value": value,
        "created_at": now,
        "expires_at": expires,
    }
