"""OpenAI's accounts and limits: single questions.

| call | endpoint | unit |
|---|---|---|
| spend_limit | GET /organization/projects/{id}/spend_limit | whole cents; costs are decimal dollars |
| admin_keys | GET /organization/admin_api_keys | the organization's admin keys, without their values |
| credit_grants | GET /dashboard/billing/credit_grants | dollars; undocumented, refuses secret keys |
"""

from __future__ import annotations

from urllib.parse import quote

from tokenboard_etl.providers.openai_buckets import PROVIDER
from tokenboard_etl.providers.openai_lists import Listed, ListPage, listed
from tokenboard_etl.providers.wire import Fetch, Request, Wire, WireAmount, read


class Enforcement(Wire):
    status: str


class SpendLimit(Wire):
    """`threshold_amount` is in whole cents of `currency`."""

    threshold_amount: int
    currency: str
    interval: str
    enforcement: Enforcement | None = None


class AdminKey(Listed):
    """`redacted_value` shows the first and last characters of the key; times are Unix seconds."""

    redacted_value: str
    expires_at: int | None = None
    last_used_at: int | None = None


class CreditGrant(Wire):
    id: str
    grant_amount: WireAmount
    used_amount: WireAmount
    effective_at: WireAmount
    expires_at: WireAmount | None = None


class CreditGrantList(Wire):
    data: list[CreditGrant]


class CreditGrants(Wire):
    """Dollars of prepaid credit of a personal account."""

    total_granted: WireAmount
    total_used: WireAmount
    total_available: WireAmount
    grants: CreditGrantList


async def spend_limit(fetch: Fetch, project_id: str) -> SpendLimit | None:
    """The project's monthly hard limit; None where none is set. What only sends raises ProviderRejected (404) then."""
    path = f"/organization/projects/{quote(project_id, safe='')}/spend_limit"
    request = Request(PROVIDER, path, context={"project_id": project_id}, missing_is_none=True)
    body = await fetch(request)
    return None if body is None else read(SpendLimit, request, body)


async def admin_keys(fetch: Fetch) -> list[AdminKey]:
    """All admin keys. Raises KeyRefused for a key that was given less than all permissions."""
    first = Request(PROVIDER, "/organization/admin_api_keys", (("limit", "100"),))
    return await listed(fetch, first, ListPage[AdminKey])


async def credit_grants(fetch: Fetch) -> CreditGrants:
    """Prepaid credit. Raises KeyRefused for every kind of secret key: the balance is then unknown, not zero."""
    request = Request(
        PROVIDER,
        "/dashboard/billing/credit_grants",
        key_advice="It answers browser sessions and some old user keys only: set OPENAI_PERSONAL_KEY, or do without.",
    )
    return read(CreditGrants, request, await fetch(request))
