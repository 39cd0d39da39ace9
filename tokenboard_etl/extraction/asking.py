"""Questions whose answers are read and not kept: nothing is billed from them."""

from __future__ import annotations

from typing import Any

from tokenboard_etl.errors import ProviderRejected
from tokenboard_etl.extraction.bodies import parse
from tokenboard_etl.http import Client
from tokenboard_etl.providers.wire import Fetch, Request


def asking(client: Client) -> Fetch:
    """A Fetch that lands nothing. Where a 404 is an answer (`missing_is_none`), it gives None."""

    async def fetch(request: Request) -> Any:
        try:
            answer = await client.send(request)
        except ProviderRejected as refusal:
            if refusal.status == 404 and request.missing_is_none:
                return None
            raise
        return parse(request, answer.body)

    return fetch
