"""Credits, workspaces, budgets, members and models of the OpenRouter account."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tokenboard_etl.providers.sandbox.amounts import plain
from tokenboard_etl.providers.sandbox.catalog import ROUTED_MODELS, RoutedModel
from tokenboard_etl.providers.sandbox.draws import uuid
from tokenboard_etl.providers.sandbox.exact_json import ExactJSON
from tokenboard_etl.providers.sandbox.openrouter_http import OpenRouterError, caller, counted, managed
from tokenboard_etl.providers.sandbox.router_account import MEMBERS, Workspace
from tokenboard_etl.providers.sandbox.state import Sandbox, sandbox_of

_CREATED = "2023-10-02T09:00:00Z"
_TOP_UP = 5_000
_BUDGETED = "labs"


async def credits(request: Request) -> Response:  # noqa: A001 - the endpoint's name
    """Bought and used credits. An inference key gets two zeros instead of a refusal, as seen live."""
    sandbox = sandbox_of(request)
    if not caller(request).is_management:
        return ExactJSON({"data": {"total_credits": 0, "total_usage": 0}})
    used = sandbox.world.openrouter.spent_by_all(sandbox.now()).usage_usd
    bought = (int(used) // _TOP_UP + 1) * _TOP_UP
    return ExactJSON({"data": {"total_credits": bought, "total_usage": plain(used)}})


async def list_workspaces(request: Request) -> Response:
    sandbox = managed(request)
    return counted(request, [workspace_json(sandbox, w) for w in sandbox.account.workspaces])


async def get_workspace(request: Request) -> Response:
    sandbox = managed(request)
    return ExactJSON({"data": workspace_json(sandbox, _known(sandbox, request))})


async def list_budgets(request: Request) -> Response:
    sandbox = managed(request)
    workspace = _known(sandbox, request)
    budget = {
        "id": uuid(sandbox.world.seed, "budget", workspace.id),
        "workspace_id": workspace.id,
        "limit_usd": 2_000,
        "reset_interval": "monthly",
        "created_at": _CREATED,
        "updated_at": _CREATED,
    }
    return ExactJSON({"data": [budget] if workspace.slug == _BUDGETED else [], "include_byok_in_budgets": False})


async def list_members(request: Request) -> Response:
    managed(request)
    members = [
        {"id": id_, "email": f"{first.lower()}@resale.example", "first_name": first, "last_name": last, "role": role}
        for id_, first, last, role in MEMBERS
    ]
    return counted(request, members)


async def list_models(_request: Request) -> Response:
    """The price list. Prices are decimal strings, USD per token; no key is needed."""
    models = [model_json(model) for model in {model.slug: model for model in ROUTED_MODELS}.values()]
    return ExactJSON({"data": models, "total_count": len(models), "links": {"next": None}})


ROUTES = [
    Route("/credits", credits),
    Route("/workspaces", list_workspaces),
    Route("/workspaces/{id}", get_workspace),
    Route("/workspaces/{id}/budgets", list_budgets),
    Route("/organization/members", list_members),
    Route("/models", list_models),
]


def workspace_json(sandbox: Sandbox, workspace: Workspace) -> dict[str, Any]:
    return {
        "id": workspace.id,
        "name": workspace.name,
        "slug": workspace.slug,
        "description": None,
        "default_guardrail_id": uuid(sandbox.world.seed, "guardrail", workspace.id),
        "default_text_model": None,
        "default_image_model": None,
        "default_provider_sort": None,
        "include_byok_in_budgets": False,
        "is_observability_io_logging_enabled": False,
        "is_observability_broadcast_enabled": False,
        "is_data_discount_logging_enabled": False,
        "io_logging_sampling_rate": 1,
        "io_logging_api_key_ids": None,
        "created_at": _CREATED,
        "updated_at": None,
        "created_by": MEMBERS[0][0],
    }


def model_json(model: RoutedModel) -> dict[str, Any]:
    name = model.slug.partition("/")[2]
    cheaper = plain(Decimal(model.prompt_usd) / 10)
    return {
        "id": model.slug,
        "canonical_slug": model.permaslug,
        "name": name,
        "created": 1_750_000_000,
        "description": "",
        "context_length": 272_000,
        "architecture": {
            "modality": "text->text",
            "input_modalities": ["text"],
            "output_modalities": ["text"],
            "tokenizer": "Other",
            "instruct_type": None,
        },
        "pricing": {
            "prompt": model.prompt_usd,
            "completion": model.completion_usd,
            "input_cache_read": f"{cheaper:f}",
            "request": "0",
            "web_search": "0.01",
        },
        "top_provider": {"context_length": 272_000, "max_completion_tokens": 64_000, "is_moderated": False},
        "per_request_limits": None,
        "supported_parameters": ["max_tokens", "temperature"],
        "default_parameters": None,
        "supported_voices": None,
        "links": {"details": f"/api/v1/models/{model.permaslug}/endpoints"},
    }


def _known(sandbox: Sandbox, request: Request) -> Workspace:
    workspace = sandbox.account.workspace(request.path_params["id"])
    if workspace is None:
        raise OpenRouterError(404, "Workspace not found")
    return workspace
