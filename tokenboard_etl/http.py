"""The only importer of httpx: one client per connection, bounded in time, attempts and concurrency.

GET and the one POST that only reads are retried with jitter up to 8 attempts within 5 minutes, obeying
`Retry-After` up to 120 s. A POST that creates is sent once: neither provider has idempotency keys. `download` reads
a public file, `post_json` tells a webhook, both without a key.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception,
    stop_after_attempt,
    stop_before_delay,
    wait_random_exponential,
)

from tokenboard_etl.errors import (
    AlertNotSent,
    AnswerTooLarge,
    MalformedAnswer,
    ProviderError,
    ProviderRejected,
    ProviderUnavailable,
    TokenboardError,
    answered_as,
)
from tokenboard_etl.providers.wire import Request, encode
from tokenboard_etl.verdicts import judge, refuse_wrong_clock, request_id_in

log = logging.getLogger("tokenboard.http")
logging.getLogger("httpx").setLevel(logging.WARNING)  # below, it tells whole addresses, and a webhook's is a secret

MAX_ATTEMPTS = 8
MAX_SECONDS_PER_REQUEST = 300
MAX_RETRY_AFTER_S = 120
CONCURRENT_REQUESTS = 4
LARGEST_BYTES = 512 * 1024 * 1024
"""No answer is larger, unpacked: a day's costs of 5,000 projects with 40 line items each are 45 MB, and cannot be asked
for in parts."""
TIMEOUT = httpx.Timeout(60, connect=10)
_WEBHOOK_TIMEOUT = 10
"""Seconds: Dagster gives a sensor one minute in all."""


@dataclass(frozen=True)
class Answer:
    """What came back: the body byte for byte (after the transfer's own compression)."""

    status: int
    body: bytes
    request_id: str | None


@cache
def _trusted() -> ssl.SSLContext:
    """The certificates httpx trusts, read once: reading them takes longer than most requests."""
    return httpx.create_ssl_context()


class Client:
    """Sends requests for one connection. Use as an async context manager."""

    def __init__(
        self,
        base_url: str,
        key: SecretStr,
        *,
        headers: dict[str, str] | None = None,
        slots: asyncio.Semaphore | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        budget_s: float = MAX_SECONDS_PER_REQUEST,
        largest_bytes: int = LARGEST_BYTES,
    ) -> None:
        self._sleep, self._budget_s, self._largest_bytes = sleep, budget_s, largest_bytes
        self._slots = slots or asyncio.Semaphore(CONCURRENT_REQUESTS)
        self._http = httpx.AsyncClient(
            base_url=base_url + "/",
            headers={
                "Authorization": f"Bearer {key.get_secret_value()}",
                "User-Agent": "tokenboard-etl",
                **(headers or {}),
            },
            timeout=TIMEOUT,
            verify=_trusted(),
            http2=True,
            follow_redirects=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def send(self, request: Request) -> Answer:
        """One 2xx answer, or an error of the tree in errors.py."""
        answered_as.set(None)
        answer = await self._send(request)
        answered_as.set(answer.request_id)
        return answer

    async def _send(self, request: Request) -> Answer:
        if not request.repeatable:
            return await self._send_once(request)
        attempts = AsyncRetrying(
            retry=retry_if_exception(lambda error: isinstance(error, TokenboardError) and error.retryable),
            stop=stop_after_attempt(MAX_ATTEMPTS) | stop_before_delay(self._budget_s),
            wait=_wait,
            sleep=self._sleep,
            before_sleep=_log_retry,
            reraise=True,
        )
        answer: Answer = await attempts(self._send_once, request)
        return answer

    async def _send_once(self, request: Request) -> Answer:
        try:
            async with (
                self._slots,
                asyncio.timeout(self._budget_s),  # a byte now and then is no answer
                self._http.stream(
                    request.method,
                    request.path.lstrip("/"),
                    params=list(request.params),
                    content=None if request.body is None else encode(request.body),
                    headers=None if request.body is None else {"Content-Type": "application/json"},
                ) as response,
            ):
                body = await _body(request, response, self._largest_bytes)
        except (httpx.TimeoutException, TimeoutError):
            raise ProviderUnavailable(request.provider, request.endpoint, "no answer in time") from None
        except httpx.ConnectError as error:
            raise ProviderUnavailable(
                request.provider, request.endpoint, f"cannot reach {self._http.base_url.host} ({error})"
            ) from None
        except httpx.RequestError as error:
            raise ProviderUnavailable(
                request.provider, request.endpoint, f"the answer broke off ({type(error).__name__})"
            ) from None
        judge(request, response.status_code, response.headers, body)
        if request.repeatable:  # one that made something, a key shown once perhaps, is not thrown away
            refuse_wrong_clock(request, response.headers, datetime.now(UTC))
        return Answer(response.status_code, body, request_id_in(response.headers))


def download(url: str, max_bytes: int) -> bytes:
    """A public file by one plain GET, without any key; raises ProviderError. Redirects are not followed."""
    parts = urlsplit(url)
    asked = ("the server", f"GET {parts.hostname}{parts.path}")
    body, deadline = bytearray(), time.monotonic() + MAX_SECONDS_PER_REQUEST
    try:
        with httpx.stream("GET", url, headers={"User-Agent": "tokenboard-etl"}, timeout=TIMEOUT) as response:
            if response.status_code != httpx.codes.OK:
                raise ProviderRejected(*asked, f"HTTP {response.status_code}", status=response.status_code)
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > max_bytes:
                    raise AnswerTooLarge(*asked, f"a body of more than {max_bytes} bytes")
                if time.monotonic() > deadline:
                    raise ProviderUnavailable(*asked, f"not done after {MAX_SECONDS_PER_REQUEST} s")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ProviderUnavailable(*asked, f"no whole answer ({type(error).__name__})") from None
    return bytes(body)


def post_json(url: SecretStr, body: object) -> None:
    """One POST to a webhook; raises AlertNotSent, which names its host alone, because the rest of it is a secret."""
    address = url.get_secret_value()
    asked = f"The webhook at {urlsplit(address).hostname}"
    try:
        with httpx.stream(
            "POST", address, json=body, headers={"User-Agent": "tokenboard-etl"}, timeout=_WEBHOOK_TIMEOUT
        ) as response:  # what it says beside the status is not read
            status = response.status_code
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise AlertNotSent(f"{asked} gave no answer ({type(error).__name__}). It is told again.") from None
    if not httpx.codes.is_success(status):
        raise AlertNotSent(f"{asked} said HTTP {status}. It is told again; check the address.")


async def _body(request: Request, response: httpx.Response, largest_bytes: int) -> bytes:
    """The whole body; one over the request's limit, or any answer's, is not read to its end."""
    parts, size = [], 0
    async for part in response.aiter_bytes():
        parts.append(part)
        size += len(part)
        if size > largest_bytes:
            raise MalformedAnswer(
                request.provider,
                request.endpoint,
                f"a body of more than {largest_bytes} bytes, which no answer has",
                status=response.status_code,
                request_id=request_id_in(response.headers),
            )
        if request.max_bytes is not None and size > request.max_bytes and response.is_success:
            raise AnswerTooLarge(
                request.provider,
                request.endpoint,
                f"a body of more than {request.max_bytes} bytes",
                request_id=request_id_in(response.headers),
                beginning=b"".join(parts),
            )
    return b"".join(parts)


_backoff = wait_random_exponential(multiplier=0.5, max=30)


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    wish = error.retry_after_s if isinstance(error, ProviderUnavailable) else None
    if wish is not None:
        return min(wish, MAX_RETRY_AFTER_S)
    return _backoff(state)


def _log_retry(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, ProviderError) and state.next_action:
        log.warning(
            "attempt %d failed, waiting %.1f s: %s",
            state.attempt_number,
            state.next_action.sleep,
            error.detail,
            extra={
                "provider": error.provider,
                "endpoint": error.endpoint,
                "attempt": state.attempt_number,
                "status": error.status,
                "request_id": error.request_id,
            },
        )
