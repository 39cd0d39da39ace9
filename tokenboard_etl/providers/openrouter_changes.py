"""OpenRouter's keys: making, changing and deleting them.

| call | endpoint | if sent twice |
|---|---|---|
| create_key | POST /keys | two keys: it is sent once; the key itself is shown in this answer only |
| find_key | GET /keys/{hash} | |
| change_key | PATCH /keys/{hash} | the same |
| delete_key | DELETE /keys/{hash} | gone is gone |

A deleted key leaves the list with its counters, so whoever deletes one reads it first, or only disables it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import quote

from tokenboard_etl.errors import ProviderRejected
from tokenboard_etl.providers.openrouter import PROVIDER
from tokenboard_etl.providers.openrouter_wire import Key, KeyAnswer, OneKey
from tokenboard_etl.providers.wire import Fetch, Request, delete, read

MONTHLY = "monthly"
"""A limit without a reset is used up once and for all, so every key gets one."""


async def create_key(fetch: Fetch, name: str, limit_usd: Decimal | None, reset: str | None = MONTHLY) -> KeyAnswer:
    """Creates a key in the default workspace. Never repeated: a second call makes a second key.

    `limit_usd` None means unlimited.
    """
    body = {"name": name, "limit": limit_usd, "limit_reset": reset}
    request = Request(PROVIDER, "/keys", method="POST", body=body, repeatable=False)
    return read(KeyAnswer, request, await fetch(request))


async def find_key(fetch: Fetch, key_hash: str) -> Key | None:
    """A key as it is now; None if there is none of this hash."""
    request = Request(PROVIDER, _path(key_hash))
    try:
        return read(OneKey, request, await fetch(request)).data
    except ProviderRejected as refusal:
        if refusal.status != 404:
            raise
        return None


async def set_limit(fetch: Fetch, key_hash: str, limit_usd: Decimal | None, reset: str | None = MONTHLY) -> Key:
    """Gives a key another limit, and the reset that goes with it."""
    return await change_key(fetch, key_hash, limit=limit_usd, limit_reset=reset)


async def change_key(fetch: Fetch, key_hash: str, **changes: Any) -> Key:
    """Changes what is named: `name`, `disabled`, `limit` (USD), `limit_reset`. Values are absolute."""
    request = Request(PROVIDER, _path(key_hash), method="PATCH", body=changes)
    return read(OneKey, request, await fetch(request)).data


async def delete_key(fetch: Fetch, key_hash: str) -> bool:
    """False if it was gone already."""
    return await delete(fetch, Request(PROVIDER, _path(key_hash), method="DELETE"))


def _path(key_hash: str) -> str:
    return f"/keys/{quote(key_hash, safe='')}"
