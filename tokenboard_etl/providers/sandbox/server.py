"""Runs the sandbox on 127.0.0.1: in a thread for tests and the demo, in the foreground for the command line."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from tokenboard_etl.providers.sandbox.app import OPENAI_PREFIX, OPENROUTER_PREFIX, create_app
from tokenboard_etl.providers.sandbox.fault_middleware import TRANSPORT
from tokenboard_etl.providers.sandbox.recorder import Asked
from tokenboard_etl.providers.sandbox.state import ANALYTICS_QUERIES_PER_MINUTE, Sandbox
from tokenboard_etl.providers.sandbox.world import World

HOST = "127.0.0.1"
_START_SECONDS = 20


class CuttableProtocol(H11Protocol):
    """HTTP/1.1 that lets the application reach its own connection, so that faults can cut it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        inner: ASGIApp = self.app

        async def with_transport(scope: Scope, receive: Receive, send: Send) -> None:
            scope[TRANSPORT] = self.transport
            await inner(scope, receive, send)

        self.app = with_transport


@dataclass(frozen=True, slots=True)
class RunningSandbox:
    """A sandbox that answers on a port of this machine."""

    sandbox: Sandbox
    port: int

    @property
    def world(self) -> World:
        return self.sandbox.world

    @property
    def base_url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def openai_base_url(self) -> str:
        return f"{self.base_url}{OPENAI_PREFIX}"

    @property
    def openrouter_base_url(self) -> str:
        return f"{self.base_url}{OPENROUTER_PREFIX}"

    def set_clock(self, now: datetime | None, *, dated: bool = False) -> None:
        """Stops the sandbox's clock at an aware instant, or lets it follow the machine's.

        `dated`: answers say so in their Date. Otherwise that is of the machine, whose clock is the client's too.
        """
        if now is not None and now.tzinfo is None:
            raise ValueError("the clock needs an aware datetime")
        self.sandbox.fixed_now, self.sandbox.dated = now, dated

    def add_fault(self, kind: str, match: str = "", **more: Any) -> None:
        """Adds a rule as POST /_sandbox/faults takes it: `times`, `probability`, `seed`, `status`, ..."""
        self.sandbox.faults.add({"kind": kind, "match": match, **more})

    def clear_faults(self) -> None:
        self.sandbox.faults.rules.clear()

    def reset(self) -> None:
        """Forgets what requests changed, the request log and all faults; the clock stays."""
        self.sandbox.reset()

    def request_count(self, part: str = "") -> int:
        """Requests so far whose "METHOD path" contains a text."""
        return self.sandbox.recorder.matching(part)

    def requests(self) -> Counter[Asked]:
        """Whole requests so far, and how often each came."""
        return Counter(self.sandbox.recorder.whole)

    def env(self) -> dict[str, str]:
        """Variables that point this system at the sandbox, with the first organization's key."""
        return settings_for(self.world, self.port)


def settings_for(world: World, port: int) -> dict[str, str]:
    """Variables that point this system at a sandbox of this world on this port. Its keys open nothing else."""
    return {
        "OPENAI_ADMIN_KEY": world.admin_keys[world.organizations[0].id],
        "OPENAI_BASE_URL": f"http://{HOST}:{port}/openai/v1",
        "OPENROUTER_MANAGEMENT_KEY": world.management_key,
        "OPENROUTER_BASE_URL": f"http://{HOST}:{port}/openrouter/api/v1",
    }


@contextmanager
def running_sandbox(
    *,
    seed: int = 1,
    now: datetime | None = None,
    port: int = 0,
    scale: int = 1,
    analytics_per_minute: int | None = ANALYTICS_QUERIES_PER_MINUTE,
) -> Iterator[RunningSandbox]:
    """A sandbox in a background thread, until the block ends. Port 0 takes a free one."""
    sandbox = Sandbox(World(seed, scale), now, analytics_per_minute)
    with _listener(port) as listener:
        server = _Server(_config(sandbox))
        thread = threading.Thread(target=server.run_quietly, args=(listener,), name="sandbox", daemon=True)
        thread.start()
        try:
            server.wait_until_started()
            yield RunningSandbox(sandbox, listener.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join(_START_SECONDS)


def serve(port: int, seed: int = 1, scale: int = 1, now: datetime | None = None) -> None:
    """Runs in the foreground until interrupted. A port that is taken raises OSError."""
    with _listener(port) as listener:
        uvicorn.Server(_config(Sandbox(World(seed, scale), now))).run([listener])


def _listener(port: int) -> socket.socket:
    """A bound socket. Its protocol is named because asyncio turns off write delays only where it sees TCP."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError:
        listener.close()
        raise
    return listener


class _Server(uvicorn.Server):
    """A server outside the main thread, which says when it is up."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._up = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._up.set()

    def run_quietly(self, listener: socket.socket) -> None:
        asyncio.run(self.serve([listener]))

    def wait_until_started(self) -> None:
        if not self._up.wait(_START_SECONDS):
            raise TimeoutError(f"the sandbox did not start within {_START_SECONDS} seconds")


def _config(sandbox: Sandbox) -> uvicorn.Config:
    return uvicorn.Config(
        create_app(sandbox),
        http=CuttableProtocol,
        ws="none",
        lifespan="off",
        proxy_headers=False,
        date_header=False,
        access_log=False,
        log_level="error",
        log_config=None,
        timeout_graceful_shutdown=2,
    )
