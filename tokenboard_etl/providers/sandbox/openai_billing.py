"""The legacy credit balance: refused to every API key, answered only to a browser's session token.

Every quarter a grant is bought that expires after half a year; the oldest is used up first, and rests expire. An
expired grant stays listed for a month.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tokenboard_etl.providers.sandbox.amounts import plain
from tokenboard_etl.providers.sandbox.draws import between, uuid
from tokenboard_etl.providers.sandbox.exact_json import ExactJSON
from tokenboard_etl.providers.sandbox.meters import FIRST_YEAR
from tokenboard_etl.providers.sandbox.openai_http import OpenAIError, bearer, now_of
from tokenboard_etl.providers.sandbox.restatement import minutes_into
from tokenboard_etl.providers.sandbox.state import sandbox_of

PATH = "/dashboard/billing/credit_grants"
_REFUSAL = (
    f"Your request to GET {PATH} must be made with a session key (that is, it can only be made from the "
    "browser). You made it with the following key type: secret."
)
_LISTED_AFTER_EXPIRY = timedelta(days=30)
_DECIMALS = 4
_GRANTED = 120 * 10**_DECIMALS


@dataclass(slots=True)
class Grant:
    """A grant; amounts in 1e-4 USD."""

    id: str
    effective_on: date
    used: int = 0

    @property
    def expires_on(self) -> date:
        return self.effective_on + timedelta(days=182)


def spent_on(seed: int, org_id: str, day: date, now: datetime) -> int:
    """What the personal account spent on a day up to a moment, in 1e-4 USD. The credit always suffices."""
    return between(0, 12_000, seed, "personal spend", org_id, day) * minutes_into(day, now) // 1_440


def grants_at(seed: int, org_id: str, now: datetime) -> list[Grant]:
    """Every grant so far with what is used of it."""
    today = now.astimezone(UTC).date()
    grants: list[Grant] = []
    for day in _days(date(FIRST_YEAR, 1, 1), today):
        if day.day == 1 and day.month % 3 == 1:
            grants.append(Grant(uuid(seed, "grant", org_id, day), day))
        to_pay = spent_on(seed, org_id, day, now)
        for grant in grants:
            if day < grant.expires_on:
                paid = min(to_pay, _GRANTED - grant.used)
                grant.used += paid
                to_pay -= paid
    return grants


async def credit_grants(request: Request) -> Response:
    sandbox = sandbox_of(request)
    token = bearer(request)
    if token is None:
        raise OpenAIError(401, "Missing bearer authentication in header", code=None)
    org_id = next((org for org, session in sandbox.world.session_tokens.items() if session == token), None)
    if org_id is None:
        raise OpenAIError(403, _REFUSAL, kind="server_error", code=None)
    now = now_of(request)
    today = now.astimezone(UTC).date()
    listed = [
        each for each in grants_at(sandbox.world.seed, org_id, now) if today < each.expires_on + _LISTED_AFTER_EXPIRY
    ]
    available = sum(_GRANTED - each.used for each in listed if today < each.expires_on)
    return ExactJSON(
        {
            "object": "credit_summary",
            "total_granted": _usd(_GRANTED * len(listed)),
            "total_used": _usd(sum(each.used for each in listed)),
            "total_available": _usd(available),
            "total_paid_available": _usd(available),
            "grants": {
                "object": "list",
                "data": [
                    {
                        "object": "credit_grant",
                        "id": each.id,
                        "grant_amount": _usd(_GRANTED),
                        "used_amount": _usd(each.used),
                        "effective_at": _epoch(each.effective_on),
                        "expires_at": _epoch(each.expires_on),
                    }
                    for each in listed
                ],
            },
        }
    )


ROUTES = [Route(PATH, credit_grants)]


def _days(first: date, last: date) -> Iterator[date]:
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)


def _usd(units: int) -> Decimal:
    return plain(Decimal(f"{units}E-{_DECIMALS}"))


def _epoch(day: date) -> Decimal:
    """As a fraction, which is how the live service writes it."""
    return Decimal(f"{int(datetime.combine(day, time(), UTC).timestamp())}.0")
