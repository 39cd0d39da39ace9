"""What people say about a tenant besides its name, as it may be written down."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal, InvalidOperation

from tokenboard_etl.errors import RegistryError, WrongUse, shown
from tokenboard_etl.tenants.names import clean_name
from tokenboard_etl.tenants.registry import Tenant

HIGHEST_LIMIT_USD = Decimal(1_000_000_000)

_WHAT = {
    "industry": "industry",
    "billing_email": "billing e-mail",
    "legal_name": "legal name",
    "address": "address",
    "tax_id": "tax id",
}


def with_details(tenant: Tenant, *, country: str | None = None, **details: str | None) -> Tenant:
    """The tenant with what is given; what is blank stays as it is known.

    Raises RegistryError for a country that has no two letters and for text no name could be.
    """
    code = (country or "").strip().upper()
    if code and not re.fullmatch(r"[A-Z]{2}", code):
        raise RegistryError(f"{shown(code)} is not a two-letter country code.")
    given = {name: clean_name(text, _WHAT[name]) for name, text in details.items() if text and text.strip()}
    return replace(tenant, country=code or tenant.country, **given)


def parse_limit(text: str | None) -> Decimal | None:
    """A monthly limit in USD as people write it: above zero, in whole cents, because OpenAI counts in cents."""
    if text is None or not text.strip():
        return None
    try:
        limit = Decimal(text.strip())
    except InvalidOperation:
        raise WrongUse(f"{shown(text)} is not a limit in USD; write it as 200 or 49.50.") from None
    if not limit.is_finite() or not 0 < limit <= HIGHEST_LIMIT_USD:
        raise WrongUse(
            f"A limit of {shown(text.strip())} USD cannot be meant; it is above 0 and at most {HIGHEST_LIMIT_USD}."
        )
    if limit != limit.quantize(Decimal("0.01")):
        raise WrongUse(f"A limit of {shown(text.strip())} USD has parts of a cent; OpenAI's limits are whole cents.")
    return limit
