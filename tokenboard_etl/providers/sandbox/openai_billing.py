"""The legacy credit balance: refused to every API key, answered only to a browser's session token."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tokenboard_etl.providers.sandbox.amounts import plain
from tokenboard_etl.providers.sandbox.draws import between, uuid
from tokenboard_etl.providers.sandbox.exact_json import ExactJSON
from tokenboard_etl.providers.sandbox.openai_http import OpenAIError, bearer, now_of
from tokenboard_etl.providers.sandbox.state import sandbox_of

PATH = "/dashboard/billing/credit_grants"
_REFUSAL = (
    f"Your request to GET {PATH} must be made with a session key (that is, it can only be made from the "
    "browser). You made it with the following key type: secret."
)


async def credit_grants(request: Request) -> Response:
    sandbox = sandbox_of(request)
    token = bearer(request)
    if token is None:
        raise OpenAIError(401, "Missing bearer authentication in header", code=None)
    org_id = next((org for org, session in sandbox.world.session_tokens.items() if session == token), None)
    if org_id is None:
        raise OpenAIError(403, _REFUSAL, kind="server_error", code=None)
    now = now_of(request)
    granted = Decimal("120.0")
    used = Decimal(between(1, 1_000_000, sandbox.world.seed, "grants", org_id, now.month)) / 10_000
    started = now.replace(month=1, day=1, hour=0, minute=0, second=0, microsecond=0)
    available = plain(granted - used)
    return ExactJSON(
        {
            "object": "credit_summary",
            "total_granted": granted,
            "total_used": plain(used),
            "total_available": available,
            "total_paid_available": available,
            "grants": {
                "object": "list",
                "data": [
                    {
                        "object": "credit_grant",
                        "id": uuid(sandbox.world.seed, "grant", org_id),
                        "grant_amount": granted,
                        "used_amount": plain(used),
                        "effective_at": Decimal(f"{int(started.timestamp())}.0"),
                        "expires_at": Decimal(f"{int((started + timedelta(days=365)).timestamp())}.0"),
                    }
                ],
            },
        }
    )


ROUTES = [Route(PATH, credit_grants)]
