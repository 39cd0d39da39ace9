"""Talks to one provider account, keeps the id of the last request, and waits where waiting helps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

from tokenboard_etl.errors import MalformedAnswer, ProviderError, ProviderRejected, ProviderUnavailable
from tokenboard_etl.extraction import parse
from tokenboard_etl.http import MAX_RETRY_AFTER_S, Answer
from tokenboard_etl.providers.wire import Request

Send = Callable[[Request], Awaitable[Answer]]
Sleep = Callable[[int], Awaitable[None]]

MAX_ATTEMPTS = 8
NOT_VISIBLE_YET_ATTEMPTS = 6
"""Waits of 1, 2, 4, 8 and 16 seconds between them: what was just made answers 404 for a while."""


class Exchange:
    """One connection. `fetch` and `patient` are both a Fetch (wire.py)."""

    def __init__(self, connection_id: str, provider: str, send: Send, sleep: Sleep) -> None:
        self.connection_id, self.provider, self.sleep = connection_id, provider, sleep
        self.request_id: str | None = None
        self._send = send

    async def fetch(self, request: Request) -> Any:
        """Sends a request. After a 429 also one that creates: nothing was done then, and the provider says wait."""
        for attempt in count(1):
            try:
                answer = await self._send(request)
            except ProviderError as error:
                self.request_id = error.request_id
                if request.repeatable or not _is_too_many(error) or attempt == MAX_ATTEMPTS:
                    raise
                await self.sleep(_pause_s(error, attempt))
            else:
                self.request_id = answer.request_id
                return parse(request, answer.body)
        raise AssertionError("unreachable")

    async def patient(self, request: Request) -> Any:
        """The same for requests about what was made a moment ago: a 404 then means not yet, and nothing was done."""
        for attempt in count(1):
            try:
                return await self.fetch(request)
            except ProviderRejected as refusal:
                if refusal.status != 404 or attempt == NOT_VISIBLE_YET_ATTEMPTS:
                    raise
                await self.sleep(2 ** (attempt - 1))
        raise AssertionError("unreachable")


def _is_too_many(error: ProviderError) -> bool:
    return isinstance(error, ProviderUnavailable) and error.status == 429


def _pause_s(error: ProviderError, attempt: int) -> int:
    wish = error.retry_after_s if isinstance(error, ProviderUnavailable) else None
    return min(2**attempt if wish is None else wish, MAX_RETRY_AFTER_S)


def may_have_happened(error: Exception) -> bool:
    """Whether a request that ended so may have done its work: a refusal has not, nor has "too many requests"."""
    if isinstance(error, ProviderUnavailable):
        return error.status != 429
    return isinstance(error, MalformedAnswer)


def words_of(error: Exception) -> str:
    """What happened, without the advice that is for reports."""
    if isinstance(error, ProviderError):
        known_as = f" (request id {error.request_id})" if error.request_id else ""
        return f"{error.provider} {error.endpoint}: {error.detail}{known_as}"
    return str(error)
