"""What the provider tests share: a fetch that reads from a list of pages, and one that asks the sandbox."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from pydantic import SecretStr

from tokenboard_etl.extraction import parse
from tokenboard_etl.http import Client
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.providers.wire import Request


@dataclass
class Pages:
    """A server reduced to a list: the pages in turn, the last one for ever. An exception in the list is raised."""

    bodies: list[Any]
    asked: list[Request] = field(default_factory=list)

    async def fetch(self, request: Request) -> Any:
        self.asked.append(request)
        body = self.bodies[min(len(self.asked), len(self.bodies)) - 1]
        if isinstance(body, Exception):
            raise body
        return body


@dataclass
class Live:
    """Asks a real server. `change` may alter a request on its way out; every answer is kept, with all its rows."""

    client: Client
    change: Callable[[Request], Request]
    asked: list[Request] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)

    async def fetch(self, request: Request) -> Any:
        request = self.change(request)
        answer = parse(replace(request, without_rows=None), (await self.client.send(request)).body)
        self.asked.append(request)
        self.answers.append(answer)
        return answer


@pytest.fixture
def pages() -> Callable[..., Pages]:
    return lambda *bodies: Pages(list(bodies))


@pytest.fixture
def live(sandbox: RunningSandbox) -> Callable[..., AbstractAsyncContextManager[Live]]:
    """Opens a Live for a provider of the sandbox, by default with the key that may read everything."""

    @asynccontextmanager
    async def opened(
        provider: str, key: str | None = None, change: Callable[[Request], Request] = lambda request: request
    ) -> AsyncIterator[Live]:
        environment = sandbox.env()
        url = environment[f"{provider.upper()}_BASE_URL"]
        name = {"openai": "OPENAI_ADMIN_KEY", "openrouter": "OPENROUTER_MANAGEMENT_KEY"}[provider]
        async with Client(url, SecretStr(key or environment[name]), sleep=_at_once) as client:
            yield Live(client, change)

    return opened


async def _at_once(_seconds: float) -> None:
    """Instead of a wait between attempts."""
