"""Stands before the application, notes every request and breaks those a fault rule picks."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tokenboard_etl.providers.sandbox.exact_json import exact_json
from tokenboard_etl.providers.sandbox.faults import Fault
from tokenboard_etl.providers.sandbox.state import Sandbox

TRANSPORT = "sandbox.transport"
CONTROL = "/_sandbox"
_JSON = (b"content-type", b"application/json")
_Change = tuple[tuple[str, ...], Callable[[Any], Any]]
_TYPED_FIELDS = ("value", "credits_usage", "usage", "total_usage", "input_tokens", "id", "hash", "name")


class FaultMiddleware:
    """Connections are cut through the transport the server puts into the scope; without one it cannot be done."""

    def __init__(self, app: ASGIApp, sandbox: Sandbox) -> None:
        self._app = app
        self._sandbox = sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(CONTROL):
            await self._app(scope, receive, send)
            return
        method, path = scope["method"], scope["path"]
        messages = await _until_body_ends(receive)
        body = b"".join(message.get("body", b"") for message in messages)
        self._sandbox.recorder.note(method, path, scope["query_string"].decode("latin-1"), body)
        send = _stamped(path, self._sandbox, send)
        receive = _again(messages, receive)
        fault = self._sandbox.faults.decide(f"{method} {path}")
        if fault is None:
            await self._app(scope, receive, send)
        elif fault.kind == "slow":
            await asyncio.sleep(fault.delay)
            await self._app(scope, receive, send)
        elif fault.kind == "later":
            if self._sandbox.fixed_now is not None:
                self._sandbox.fixed_now += timedelta(hours=fault.hours)
            await self._app(scope, receive, send)
        elif fault.kind == "status":
            await _refuse(fault, path, send)
        elif fault.kind == "reset" and fault.where == "start":
            await _hang_up(scope, receive, gracefully=False)
        else:
            await self._spoil(fault, scope, receive, send)

    async def _spoil(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        start, body = await _answer_of(self._app, scope, receive)
        if fault.kind == "crash_after_create":
            await _hang_up(scope, receive, gracefully=False)
        elif fault.kind in ("truncated", "reset"):
            await send(start)
            await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
            await _hang_up(scope, receive, gracefully=True)
        else:
            spoiled = body[: len(body) // 2] if fault.kind == "cut_json" else _malformed(fault, body)
            headers = [(name, value) for name, value in start["headers"] if name != b"content-length"]
            start["headers"] = [*headers, (b"content-length", str(len(spoiled)).encode())]
            await send(start)
            await send({"type": "http.response.body", "body": spoiled})


def _stamped(path: str, sandbox: Sandbox, send: Send) -> Send:
    """Every answer is dated and names its request: OpenAI in a header of its own, OpenRouter in its network's."""
    name, prefix = (b"cf-ray", "") if path.startswith("/openrouter") else (b"x-request-id", "req_")
    request_id = f"{prefix}{sandbox.recorder.counts.total():016x}"

    async def stamped(message: Message) -> None:
        if message["type"] == "http.response.start":
            at = sandbox.now() if sandbox.dated else datetime.now(UTC)
            date = format_datetime(at.astimezone(UTC), usegmt=True)
            message["headers"] = [*message["headers"], (name, request_id.encode()), (b"date", date.encode())]
        await send(message)

    return stamped


async def _until_body_ends(receive: Receive) -> list[Message]:
    """What the server hands over of one request; its body decides what was asked."""
    messages = [await receive()]
    while messages[-1].get("more_body"):
        messages.append(await receive())
    return messages


def _again(messages: list[Message], receive: Receive) -> Receive:
    """Hands the application what was read already, then goes on."""
    unread = deque(messages)

    async def next_message() -> Message:
        return unread.popleft() if unread else await receive()

    return next_message


async def _refuse(fault: Fault, path: str, send: Send) -> None:
    message = "Rate limit exceeded" if fault.status == 429 else "The server had an error processing your request"
    error: dict[str, Any] = {"message": message, "type": "server_error", "param": None, "code": None}
    if path.startswith("/openrouter"):
        error = {"code": fault.status, "message": message}
    body = exact_json({"error": error})
    headers = [_JSON, (b"content-length", str(len(body)).encode())]
    if fault.retry_after is not None:
        headers.append((b"retry-after", str(fault.retry_after).encode()))
    await send({"type": "http.response.start", "status": fault.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _answer_of(app: ASGIApp, scope: Scope, receive: Receive) -> tuple[Message, bytes]:
    """Runs the application to the end without sending anything, so that its effects are real."""
    messages: list[Message] = []

    async def keep(message: Message) -> None:
        messages.append(message)

    await app(scope, receive, keep)
    return messages[0], b"".join(message.get("body", b"") for message in messages[1:])


async def _hang_up(scope: Scope, receive: Receive, *, gracefully: bool) -> None:
    """Closes the connection and waits until the server has noticed; gracefully sends what is written first."""
    transport = scope[TRANSPORT]
    if gracefully:
        transport.close()
    else:
        transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass


def _malformed(fault: Fault, body: bytes) -> bytes:
    if fault.variant == "text":
        return b"<html><body>upstream connect error</body></html>"
    content = json.loads(body, parse_float=Decimal)
    _change_first(content, *_CHANGES[fault.variant])
    return exact_json(content)


_CHANGES: Mapping[str, _Change] = {
    "type": (_TYPED_FIELDS, lambda _: True),
    "no_key": (("key", "value"), lambda _: ""),
    "milliseconds": (("created_at",), lambda seconds: seconds * 1000),
}


def _change_first(node: Any, fields: tuple[str, ...], change: Callable[[Any], Any]) -> bool:
    """Changes the first of these fields, in the order the answer is read. Says whether one was found."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name in fields and not isinstance(value, dict | list):
                node[name] = change(value)
                return True
            if _change_first(value, fields, change):
                return True
        return False
    return isinstance(node, list) and any(_change_first(each, fields, change) for each in node)
