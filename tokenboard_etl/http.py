"""The only importer of httpx: one client per connection, bounded in time, attempts and concurrency.

GET and the one POST that only reads are retried with jitter up to 8 attempts within 5 minutes, obeying
`Retry-After` up to 120 s. A POST that creates is sent once: neither provider has idempotency keys. `download` reads
a public file, `post_json` tells a webhook, both without a key.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
import msgspec
from pydantic import SecretStr
from pydantic_core import from_json
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
    KeyRefused,
    ProviderError,
    ProviderRejected,
    ProviderUnavailable,
    TokenboardError,
)
from tokenboard_etl.providers.wire import Request, encode
from tokenboard_etl.redaction import redact

log = logging.getLogger("tokenboard.http")

MAX_ATTEMPTS = 8
MAX_SECONDS_PER_REQUEST = 300
MAX_RETRY_AFTER_S = 120
CONCURRENT_REQUESTS = 4
TIMEOUT = httpx.Timeout(60, connect=10)
_WEBHOOK_TIMEOUT = 10
"""Seconds: Dagster gives a sensor one minute in all."""
_TRY_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})

_USED_UP = re.compile(r"limit exceeded|budget of .* exceeded", re.IGNORECASE)
"""A 403 that is about money, not about the key's kind."""

_KEY_ADVICE = {
    "openai": "It must be an admin key (sk-admin-...) with the scope api.usage.read: set OPENAI_ADMIN_KEY.",
    "openrouter": "It must be a management key that is not disabled: set OPENROUTER_MANAGEMENT_KEY.",
}


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
    ) -> None:
        self._sleep, self._budget_s = sleep, budget_s
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
                body = await _body(request, response)
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
        return _judge(request, response, body)


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


async def _body(request: Request, response: httpx.Response) -> bytes:
    """The whole body; one over the request's limit is not read to its end."""
    parts, size = [], 0
    async for part in response.aiter_bytes():
        parts.append(part)
        size += len(part)
        if request.max_bytes is not None and size > request.max_bytes and response.is_success:
            raise AnswerTooLarge(
                request.provider,
                request.endpoint,
                f"a body of more than {request.max_bytes} bytes",
                request_id=_request_id(response),
                beginning=b"".join(parts),
            )
    return b"".join(parts)


def _request_id(response: httpx.Response) -> str | None:
    found: str | None = response.headers.get("x-request-id") or response.headers.get("cf-ray")
    return found


def _judge(request: Request, response: httpx.Response, body: bytes) -> Answer:
    """The answer if it is one, else the error it means."""
    request_id = _request_id(response)
    if response.is_success:
        if _cut_short(body):
            raise ProviderUnavailable(
                request.provider,
                request.endpoint,
                f"the body ends in the middle after {len(body)} bytes" if body else "an empty body",
                request_id=request_id,
            )
        return Answer(response.status_code, body, request_id)
    message, param = _error_text(body)
    said = f"HTTP {response.status_code}" + (f": {message}" if message else "")
    if response.status_code in (401, 403) and not _USED_UP.search(message):
        advice = request.key_advice or _KEY_ADVICE[request.provider]
        raise KeyRefused(request.provider, request.endpoint, said, advice, request_id)
    unclear = request.missing_is_none and body and _cut_short(body)  # which of the two meanings, is in the words
    if response.status_code in _TRY_AGAIN or (response.status_code == 404 and (request.missing_is_outage or unclear)):
        raise ProviderUnavailable(
            request.provider,
            request.endpoint,
            said,
            status=response.status_code,
            request_id=request_id,
            retry_after_s=_retry_after(response),
        )
    raise ProviderRejected(
        request.provider,
        request.endpoint,
        said,
        status=response.status_code,
        param=param,
        request_id=request_id,
        advice=_advice(response.status_code, message),
    )


def _cut_short(body: bytes) -> bool:
    """Whether a body ends in the middle of its JSON. One that is no JSON at all is not asked for again."""
    try:
        msgspec.json.decode(body, type=msgspec.Raw)  # to the end, and builds nothing
    except (msgspec.DecodeError, RecursionError):
        pass
    else:
        return False
    try:
        from_json(body)
    except ValueError as error:
        return "EOF while parsing" in str(error)
    return False


def _error_text(content: bytes) -> tuple[str, str | None]:
    """Message and parameter name out of an error body; both providers' shapes, and older ones without a wrapper."""
    try:
        body: Any = json.loads(content)
    except (ValueError, RecursionError):
        return "", None
    error = body.get("error", body) if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return "", None
    message, param = error.get("message") or error.get("title") or "", error.get("param")
    return redact(" ".join(str(message).split()))[:500].rstrip("."), param if isinstance(param, str) else None


def _advice(status: int, message: str) -> str:
    """What a person can do about a rejection. Nothing was loaded from it in any case."""
    if re.search(r"past year|last \d+ (\S+ )*days", message):
        todo = "the provider keeps no earlier ones, so ask for later days with --from"
    elif status == 402 or _USED_UP.search(message):
        todo = "add credits or raise the limit at the provider"
    elif status == 404:
        todo = "check the base URL, and whether what was asked for still exists"
    else:
        todo = "check the days asked for and the base URL; if they are right, the provider has changed its API"
    return f"Nothing was loaded from it; {todo}."


def _retry_after(response: httpx.Response) -> int | None:
    value = response.headers.get("retry-after", "")
    return int(value) if value.isascii() and value.isdigit() else None


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
