"""What all OpenAI endpoints share: who is asking, how a refusal looks, how lists are paged."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from tokenboard_etl.providers.sandbox.exact_json import ExactJSON
from tokenboard_etl.providers.sandbox.openai_state import OrganizationState, ProjectState
from tokenboard_etl.providers.sandbox.state import sandbox_of

INVALID_REQUEST = "invalid_request_error"
_PROJECT_KEYS = ("sk-proj-", "sk-svcacct-")


class OpenAIError(Exception):
    """A refusal in the provider's words. `wrapped` is false for the older 404 body of the rate-limit paths."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = INVALID_REQUEST,
        kind: str = INVALID_REQUEST,
        wrapped: bool = True,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body: dict[str, Any] = {"error": {"message": message, "type": kind, "param": param, "code": code}}
        if not wrapped:
            self.body = {"code": status, "message": message}


async def openai_refusal(_request: Request, exc: Exception) -> Response:
    if not isinstance(exc, OpenAIError):
        raise exc
    return ExactJSON(exc.body, exc.status)


def bearer(request: Request) -> str | None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def organization(request: Request) -> OrganizationState:
    """The organization whose admin key this is: 401 for none or an unknown key, 403 for a project's key."""
    token = bearer(request)
    if token is None:
        raise OpenAIError(401, "Missing bearer authentication in header", code=None)
    if token.startswith(_PROJECT_KEYS):
        raise OpenAIError(403, "You have insufficient permissions for this operation.", code=None)
    sandbox = sandbox_of(request)
    for org_id, key in sandbox.world.admin_keys.items():
        if key == token:
            if request.headers.get("openai-organization", org_id) != org_id:
                raise OpenAIError(401, "OpenAI-Organization header should match organization for API key", code=None)
            return sandbox.organizations[org_id]
    raise OpenAIError(401, "Incorrect API key provided.", code="invalid_api_key")


def project_of(request: Request, *, wrapped: bool = True) -> tuple[OrganizationState, ProjectState]:
    org = organization(request)
    project = org.projects.get(request.path_params["project_id"])
    if project is None:
        name = request.path_params["project_id"]
        raise OpenAIError(404, f"The project {name} was not found", code="not_found", wrapped=wrapped)
    return org, project


def now_of(request: Request) -> datetime:
    return sandbox_of(request).now()


def epoch_of(request: Request) -> int:
    return int(now_of(request).timestamp())


def integer(request: Request, name: str, default: int, low: int, high: int) -> int:
    """A query parameter within bounds; the provider rejects what is outside instead of clamping it."""
    raw = request.query_params.get(name)
    if raw is None:
        return default
    if not raw.lstrip("-").isdigit():
        raise OpenAIError(400, f"Invalid type for '{name}': expected an integer.", param=name, code="invalid_type")
    value = int(raw)
    if value > high:
        raise OpenAIError(400, f"Invalid request. {name.capitalize()} must be less than or equal to {high}.")
    if value < low:
        raise OpenAIError(400, f"Invalid request. {name.capitalize()} must be greater than or equal to {low}.")
    return value


async def body_of(request: Request) -> dict[str, Any]:
    raw = await request.body()
    try:
        body = json.loads(raw) if raw else {}
    except ValueError as exc:
        raise OpenAIError(400, "We could not parse the JSON body of your request.") from exc
    if not isinstance(body, dict):
        raise OpenAIError(400, "The JSON body of your request must be an object.")
    return body


def text_of(body: dict[str, Any], name: str) -> str:
    """A required, non-empty string of a body."""
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise OpenAIError(400, f"Missing required parameter: '{name}'.", param=name, code="missing_required_parameter")
    return value


def listing(
    request: Request, items: Iterable[dict[str, Any]], *, default: int = 20, low: int = 1, high: int = 100
) -> Response:
    """One page after an object id. `last_id` is set on the last page too, so it says nothing about the end."""
    limit = integer(request, "limit", default, low, high)
    everything = list(items)
    if request.query_params.get("order") == "desc":
        everything.reverse()
    after = request.query_params.get("after")
    start = 0
    if after is not None:
        ids = [item["id"] for item in everything]
        if after not in ids:
            raise OpenAIError(400, f"No object with id '{after}' to continue after.", param="after")
        start = ids.index(after) + 1
    page = everything[start : start + limit]
    return ExactJSON(
        {
            "object": "list",
            "data": page,
            "first_id": page[0]["id"] if page else None,
            "last_id": page[-1]["id"] if page else None,
            "has_more": start + limit < len(everything),
        }
    )
