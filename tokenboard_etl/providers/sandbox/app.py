"""The ASGI application: both providers under their own prefixes, and the control endpoints."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.types import ASGIApp

from tokenboard_etl.providers.sandbox import (
    control,
    openai_accounts,
    openai_billing,
    openai_costs,
    openai_keys,
    openai_limits,
    openai_projects,
    openai_usage,
    openrouter_account,
    openrouter_activity,
    openrouter_analytics,
    openrouter_keys,
)
from tokenboard_etl.providers.sandbox.exact_json import ExactJSON
from tokenboard_etl.providers.sandbox.fault_middleware import CONTROL, FaultMiddleware
from tokenboard_etl.providers.sandbox.openai_http import OpenAIError, openai_refusal
from tokenboard_etl.providers.sandbox.openrouter_http import OpenRouterError, openrouter_refusal
from tokenboard_etl.providers.sandbox.state import Sandbox

OPENAI_PREFIX = "/openai/v1"
OPENROUTER_PREFIX = "/openrouter/api/v1"
_OPENAI = (openai_costs, openai_usage, openai_projects, openai_accounts, openai_keys, openai_limits, openai_billing)
_OPENROUTER = (openrouter_keys, openrouter_activity, openrouter_analytics, openrouter_account)


def create_app(sandbox: Sandbox) -> ASGIApp:
    """The application over one sandbox."""
    app = Starlette(
        routes=[
            Mount(OPENAI_PREFIX, routes=[route for module in _OPENAI for route in module.ROUTES]),
            Mount(OPENROUTER_PREFIX, routes=[route for module in _OPENROUTER for route in module.ROUTES]),
            Mount(CONTROL, routes=control.ROUTES),
        ],
        exception_handlers={
            OpenAIError: openai_refusal,
            OpenRouterError: openrouter_refusal,
            HTTPException: _unrouted,
        },
    )
    app.state.sandbox = sandbox
    return FaultMiddleware(app, sandbox)


async def _unrouted(request: Request, exc: Exception) -> Response:
    """A path or method no provider has, in the shape of the provider it was sent to."""
    status = exc.status_code if isinstance(exc, HTTPException) else 500
    message = f"Invalid URL ({request.method} {request.url.path})"
    if request.url.path.startswith(OPENROUTER_PREFIX):
        return ExactJSON({"error": {"code": status, "message": message}}, status)
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": "unknown_url"}
    return ExactJSON({"error": error}, status)
