"""One name for a request as the server counts it and as the landing describes it."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import httpx

from chaos.command import Home
from tokenboard_etl.providers.sandbox.app import OPENAI_PREFIX, OPENROUTER_PREFIX
from tokenboard_etl.providers.sandbox.recorder import digest_of
from tokenboard_etl.providers.sandbox.server import RunningSandbox

PREFIXES = {"openai": OPENAI_PREFIX, "openrouter": OPENROUTER_PREFIX}


class Question(NamedTuple):
    """A whole request: two equal ones can only get the same answer."""

    provider: str
    endpoint: str
    """As errors name it: method and path."""

    params: tuple[tuple[str, str], ...]
    body: str


def asked(sandbox: RunningSandbox) -> Counter[Question]:
    """What the server was asked so far, also by a process that was killed a moment ago.

    A request the sandbox had received before this one is counted when this one is answered: it has one event loop.
    """
    httpx.get(f"{sandbox.base_url}/_sandbox/requests").raise_for_status()
    found: Counter[Question] = Counter()
    for request, count in sandbox.requests().items():
        provider = next(name for name, prefix in PREFIXES.items() if request.path.startswith(prefix + "/"))
        endpoint = f"{request.method} {request.path.removeprefix(PREFIXES[provider])}"
        params = tuple(parse_qsl(request.query, keep_blank_values=True))
        found[Question(provider, endpoint, params, request.digest)] += count
    return found


def landed(home: Home) -> Counter[Question]:
    """What lies answered on disk. Two reports may have asked the same question: then it is there twice."""
    return Counter(map(_question, home.landed()))


def _question(page: dict[str, Any]) -> Question:
    method, path, params, body, _ = json.loads(page["request"])
    digest = digest_of(b"" if body is None else json.dumps(body).encode())
    return Question(page["provider"], f"{method} {path}", tuple((name, value) for name, value in params), digest)
