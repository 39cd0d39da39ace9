"""/_sandbox: the clock, the request log, fault rules and a reset. No key is asked for; the server is local."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tokenboard_etl.providers.sandbox.faults import UnknownFaultError
from tokenboard_etl.providers.sandbox.state import sandbox_of


async def set_clock(request: Request) -> Response:
    """{"now": ISO instant with an offset} stops the clock there; {"now": null} lets it run again."""
    given = (await _object(request)).get("now")
    try:
        now = None if given is None else datetime.fromisoformat(given)
    except (TypeError, ValueError):
        return _wrong("now must be an ISO instant or null")
    if now is not None and now.tzinfo is None:
        return _wrong("now must have a UTC offset")
    sandbox = sandbox_of(request)
    sandbox.fixed_now = now
    return JSONResponse({"now": sandbox.now().isoformat()})


async def requests(request: Request) -> Response:
    recorder = sandbox_of(request).recorder
    return JSONResponse({"counts": dict(recorder.counts), "recent": list(recorder.recent)})


async def add_faults(request: Request) -> Response:
    """One rule or a list of rules; see `faults`."""
    given = await request.json()
    faults = sandbox_of(request).faults
    try:
        for rule in given if isinstance(given, list) else [given]:
            faults.add(rule)
    except UnknownFaultError as exc:
        return _wrong(str(exc))
    return JSONResponse({"rules": len(faults.rules)})


async def clear_faults(request: Request) -> Response:
    sandbox_of(request).faults.rules.clear()
    return JSONResponse({"rules": 0})


async def reset(request: Request) -> Response:
    """Forgets what requests created, the request log and all faults; the clock stays."""
    sandbox_of(request).reset()
    return JSONResponse({"reset": True})


ROUTES = [
    Route("/clock", set_clock, methods=["POST"]),
    Route("/requests", requests),
    Route("/faults", add_faults, methods=["POST"]),
    Route("/faults", clear_faults, methods=["DELETE"]),
    Route("/reset", reset, methods=["POST"]),
]


async def _object(request: Request) -> dict[str, Any]:
    body = await request.json()
    return body if isinstance(body, dict) else {}


def _wrong(message: str) -> Response:
    return JSONResponse({"error": message}, 400)
