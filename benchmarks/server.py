"""Serves a world's files over HTTP/1.1: only what a nightly asks, straight from the disk, so that it is never the
bottleneck. `python -m benchmarks.server FOLDER` prints its port and serves until it is stopped.

FOLDER has a folder per organization, which is found by the admin key it is asked with.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from benchmarks.world import ORACLE, Size

KEY_HASH = "0" * 64
PROJECTS_PER_PAGE = 100
REPORTS = {"/v1/organization/costs": "costs", "/v1/organization/usage/completions": "completions"}
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
            return [_json({"object": "list", "data": [], "has_more": False})]
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


async def _serve(
    organizations: dict[str, Organization], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """One connection, one request after the other."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            line, *lines = head.split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            address = urlsplit(line.split(" ")[1])
            asked = organizations.get(headers.get("authorization", "").removeprefix("Bearer "))
            parts = asked.answer(address.path, parse_qs(address.query)) if asked else _router(address.path, body)
            status = "404 Not Found" if parts is None else "200 OK"
            shown = parts if parts is not None else [_json({"error": {"message": "no such path here"}})]
            size = sum(part.stat().st_size if isinstance(part, Path) else len(part) for part in shown)
            writer.write(f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n".encode())
            writer.write(f"Content-Length: {size}\r\n\r\n".encode())
            for part in shown:
                writer.write(part.read_bytes() if isinstance(part, Path) else part)
                await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main(folder: Path) -> None:
    """Serves until cancelled."""
    found = [Organization(oracle.parent) for oracle in folder.glob(f"*/{ORACLE}")]
    organizations = {each.size.admin_key: each for each in found}
    server = await asyncio.start_server(lambda reader, writer: _serve(organizations, reader, writer), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201 - the port, for whoever started it
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
