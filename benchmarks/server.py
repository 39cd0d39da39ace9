"""Serves a world's files over HTTP/1.1: only what a nightly asks, straight from the disk, so that it is never the
bottleneck. `python -m benchmarks.server FOLDER` prints its port and serves until it is stopped.

FOLDER has a folder per organization, which is found by the admin key it is asked with. With `--page-s` and
`--refuse-every` it is a slow provider (manners.py), which has lists of every project's keys too; GET /counted says how
it was treated.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from benchmarks.manners import RETRY_AFTER_S, Manners
from benchmarks.world import ORACLE, Size

KEY_HASH = "0" * 64
PROJECTS_PER_PAGE = 100
REPORTS = {"/v1/organization/costs": "costs", "/v1/organization/usage/completions": "completions"}
_TOO_MANY = {"error": {"message": "Rate limit reached.", "type": "requests"}}
_NO_SUCH_PATH = {"error": {"message": "no such path here"}}
_NOTHING = b'{"object":"list","data":[],"has_more":false}'
_OF_PROJECT = re.compile(r"/v1/organization/projects/\w+/(service_accounts|api_keys|spend_limit)")
_NO_LIMIT = {"error": {"message": "This project has no spend limit.", "type": "invalid_request_error"}}
Query = dict[str, list[str]]


class Organization:
    """Its answers, over one folder. Bodies come in parts, so that no page is put together in memory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.size = Size(**json.loads((folder / ORACLE).read_text())["size"])

    def answer(self, path: str, query: Query) -> list[bytes | Path] | None:
        """The parts of a 200, or None for a 404."""
        if report := REPORTS.get(path):
            return self._buckets(report if "group_by" in query else f"{report}_total", query)
        if path == "/v1/organization/projects":
            return [_json(self._projects_page(query))]
        if path == "/v1/organization/admin_api_keys":
            return [_NOTHING]
        return None

    def _buckets(self, report: str, query: Query) -> list[bytes | Path]:
        start, end = (datetime.fromtimestamp(int(query[name][0]), UTC).date() for name in ("start_time", "end_time"))
        days = [day for day in self.size.dates if start <= day < end]
        first, limit = int(query.get("page", ["0"])[0]), int(query["limit"][0])
        more = first + limit < len(days)
        parts: list[bytes | Path] = [b'{"object":"page","data":[']
        for number, day in enumerate(days[first : first + limit]):
            parts += [b"," if number else b"", self._folder / f"{report}-{day}.json"]
        tail = json.dumps({"has_more": more, "next_page": str(first + limit) if more else None})
        return [*parts, b"]," + tail[1:].encode()]

    def _projects_page(self, query: Query) -> dict[str, Any]:
        first = int(query["after"][0].rpartition("_")[2]) + 1 if "after" in query else 0
        last = min(first + PROJECTS_PER_PAGE, self.size.projects)
        data = [
            {"id": self.size.project(number), "object": "organization.project", "name": f"P{number}", "created_at": 1}
            for number in range(first, last)
        ]
        return {"object": "list", "data": data, "has_more": last < self.size.projects}


def _router(path: str, body: bytes) -> list[bytes | Path] | None:
    """OpenRouter's answers: the same small account for everybody."""
    if path == "/router/analytics/query":
        return [_json(_analytics(json.loads(body)))]
    small = _ROUTER.get(path)
    return None if small is None else [_json(small)]


def _analytics(asked: dict[str, Any]) -> dict[str, Any]:
    """A dollar a day, all of it by one key and one model."""
    start, end = (date.fromisoformat(asked["time_range"][name][:10]) for name in ("start", "end"))
    row = {"credits_usage": 1, "byok_usage": None, "request_count": "1"}
    row |= {"api_key_id": "the key"} if "api_key_id" in asked.get("dimensions", ()) else {}
    row |= {"model": "a/model"} if "model" in asked.get("dimensions", ()) else {}
    days = [start + timedelta(days=number) for number in range((end - start).days)]
    return {"data": {"data": [{**row, "date__day": f"{day}"} for day in days], "metadata": {"truncated": False}}}


_KEY = {
    "hash": KEY_HASH, "name": "the key", "label": "sk-or-...", "disabled": False, "created_at": "2026-01-01T00:00:00Z",
    "limit": None, "limit_remaining": None, "limit_reset": None, "byok_usage": 0,
    "usage": 31, "usage_daily": 1, "usage_weekly": 7, "usage_monthly": 31, "workspace_id": "w",
}  # fmt: skip
_ROUTER: dict[str, Any] = {
    "/router/key": {"data": {"is_management_key": True}},
    "/router/workspaces": {"data": [{"id": "w", "name": "default"}], "total_count": 1},
    "/router/keys": {"data": [_KEY]},
    "/router/credits": {"data": {"total_credits": 100, "total_usage": 31}},
    "/router/activity": {"data": []},
}


def _json(content: Any) -> bytes:
    return json.dumps(content).encode()


class Server:
    """All organizations and the small OpenRouter account, under the same manners."""

    def __init__(self, organizations: dict[str, Organization], manners: Manners) -> None:
        self._organizations, self._manners = organizations, manners

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request after the other."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                line, *lines = head.split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                key, target = headers.get("authorization", "").removeprefix("Bearer "), line.split(" ")[1]
                if target == "/counted":
                    await _write(writer, "200 OK", [_json(self._manners.counted())])
                    continue
                async with self._manners.turn((key, target, body)) as is_answered:
                    refusal = f"429 Too Many Requests\r\nRetry-After: {RETRY_AFTER_S}", [_json(_TOO_MANY)]
                    await _write(writer, *(self._answer(key, target, body) if is_answered else refusal))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _answer(self, key: str, target: str, body: bytes) -> tuple[str, list[bytes | Path]]:
        address, asked = urlsplit(target), self._organizations.get(key)
        of_project = _OF_PROJECT.fullmatch(address.path) if self._manners.page_s else None
        if of_project:
            return ("404 Not Found", [_json(_NO_LIMIT)]) if of_project[1] == "spend_limit" else ("200 OK", [_NOTHING])
        parts = asked.answer(address.path, parse_qs(address.query)) if asked else _router(address.path, body)
        return ("200 OK", parts) if parts is not None else ("404 Not Found", [_json(_NO_SUCH_PATH)])


async def _write(writer: asyncio.StreamWriter, status: str, parts: list[bytes | Path]) -> None:
    size = sum(part.stat().st_size if isinstance(part, Path) else len(part) for part in parts)
    writer.write(f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n".encode())
    writer.write(f"Content-Length: {size}\r\n\r\n".encode())
    for part in parts:
        writer.write(part.read_bytes() if isinstance(part, Path) else part)
        await writer.drain()


async def main() -> None:
    """Serves until cancelled."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--page-s", type=float, default=0.0)
    parser.add_argument("--refuse-every", type=int, default=0)
    given = parser.parse_args()
    found = [Organization(oracle.parent) for oracle in given.folder.glob(f"*/{ORACLE}")]
    organizations = {each.size.admin_key: each for each in found}
    ours = Server(organizations, Manners(given.page_s, given.refuse_every))
    server = await asyncio.start_server(ours.serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - the port, for whoever started it
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
