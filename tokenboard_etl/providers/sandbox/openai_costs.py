"""GET /organization/costs with its quirks: string amounts, rows finer than asked, cursors past the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tokenboard_etl.providers.sandbox.amounts import EXACT, plain
from tokenboard_etl.providers.sandbox.draws import draw
from tokenboard_etl.providers.sandbox.openai_buckets import (
    DAY,
    KEY_FLOOR,
    BucketQuery,
    Report,
    Width,
    bucket_page,
    parse_query,
)
from tokenboard_etl.providers.sandbox.openai_http import OpenAIError, organization
from tokenboard_etl.providers.sandbox.openai_spend import CostRow
from tokenboard_etl.providers.sandbox.openai_state import OrganizationState
from tokenboard_etl.providers.sandbox.state import sandbox_of

_DIMENSIONS: dict[str, Callable[[CostRow], str | None]] = {
    "project_id": lambda row: row.project_id,
    "line_item": lambda row: row.line_item,
    "api_key_id": lambda row: row.api_key_id,
    "user_id": lambda row: row.user_id,
    "api_source": lambda _row: "unlabeled",
}
REPORT = Report(
    widths={"1d": Width(DAY, 7, 180)},
    dimensions=tuple(_DIMENSIONS),
    filters={"project_ids": "project_id", "api_key_ids": "api_key_id", "line_items": "line_item"},
    clips_first_bucket=False,
)
_ZERO = "0E-6176"
_STRING_DECIMALS = 36
_NUMBER_DIGITS = 15
_SPLIT_EVERY = 23
_NUMBER_EVERY = 6


@dataclass(slots=True)
class _Sum:
    amount: Decimal
    quantity: Decimal | None
    unit: str | None


async def get_costs(request: Request) -> Response:
    org = organization(request)
    query = parse_query(request, REPORT)
    _refuse_old_key_costs(query)
    world = sandbox_of(request).world
    lingering = draw(world.seed, "lingering", query.digest) % 3 == 0

    def results(start: int, _end: int) -> list[dict[str, Any]]:
        day = datetime.fromtimestamp(start, UTC).date()
        rows = world.openai.costs(org.org.id, day, query.now)
        return [row for name, total in _sums(query, rows).items() for row in _wire_rows(org, query, name, total, start)]

    return bucket_page(query, results, lingering=lingering)


ROUTES = [Route("/organization/costs", get_costs)]


def _refuse_old_key_costs(query: BucketQuery) -> None:
    by_key = "api_key_id" in query.group_by or "api_key_id" in query.filters
    if by_key and query.requested_start < KEY_FLOOR:
        raise OpenAIError(
            400,
            f"group_by=api_key_id is not available for this time range. Try a start_time on or after {KEY_FLOOR}.",
            param="start_time",
        )


def _sums(query: BucketQuery, rows: tuple[CostRow, ...]) -> dict[tuple[tuple[str, str | None], ...], _Sum]:
    """Adds rows up by what was asked for. By line item means by project as well; ungrouped filters do nothing."""
    asked = query.group_by | {"project_id"} if "line_item" in query.group_by else query.group_by
    dimensions = [(name, value) for name, value in _DIMENSIONS.items() if name in asked]
    sums: dict[tuple[tuple[str, str | None], ...], _Sum] = {}
    for row in rows:
        if asked and query.filters and not query.keeps({name: read(row) for name, read in _DIMENSIONS.items()}):
            continue
        key = tuple((name, read(row)) for name, read in dimensions)
        total = sums.get(key)
        if total is None:
            sums[key] = _Sum(row.amount_usd, row.quantity, row.quantity_unit)
            continue
        total.amount = EXACT.add(total.amount, row.amount_usd)
        if total.quantity is not None and row.quantity is not None:
            total.quantity += row.quantity
    return sums


def _wire_rows(
    org: OrganizationState, query: BucketQuery, key: tuple[tuple[str, str | None], ...], total: _Sum, start: int
) -> Iterator[dict[str, Any]]:
    bits = draw("wire", start, *key)
    by = dict(key)
    for amount, quantity in _parts(total, bits) if key else [(total.amount, total.quantity)]:
        yield {
            "object": "organization.costs.result",
            "amount": {"value": _amount(amount, bits), "currency": "usd"},
            "line_item": by.get("line_item"),
            "project_id": by.get("project_id"),
            "api_key_id": by.get("api_key_id"),
            "user_id": by.get("user_id"),
            "api_source": by.get("api_source"),
            "quantity": _float_looking(quantity) if "line_item" in by else None,
            "quantity_unit": total.unit if "line_item" in by else None,
            "organization_id": org.org.id,
            "organization_name": org.org.name,
            "project_name": _project_name(org, by.get("project_id"), query.now),
            "user_email": next((p.email for p in org.org.people if p.id == by.get("user_id")), None),
        }


def _parts(total: _Sum, bits: int) -> list[tuple[Decimal, Decimal | None]]:
    """Now and then one key comes as two rows in a bucket, which add up to the amount."""
    first = Decimal(f"{int(EXACT.scaleb(total.amount, 6)) // 3}E-6")
    if bits % _SPLIT_EVERY or not first:
        return [(total.amount, total.quantity)]
    share = None if total.quantity is None else total.quantity // 3
    rest = None if total.quantity is None or share is None else total.quantity - share
    return [(first, share), (EXACT.subtract(total.amount, first), rest)]


def _amount(amount: Decimal, bits: int) -> str | Decimal:
    """Mostly a string with many decimals, sometimes a number; zero as the provider spells it."""
    if not amount:
        return _ZERO
    short = plain(amount)
    if (bits >> 8) % _NUMBER_EVERY == 0 and len(short.as_tuple().digits) <= _NUMBER_DIGITS:
        return short
    whole, _, fraction = f"{amount:f}".partition(".")
    return f"{whole}.{fraction.ljust(_STRING_DECIMALS, '0')}"


def _float_looking(quantity: Decimal | None) -> Decimal | None:
    return None if quantity is None else Decimal(f"{quantity:f}.0")


def _project_name(org: OrganizationState, project_id: str | None, now: datetime) -> str | None:
    project = org.projects.get(project_id) if project_id else None
    return project.name_at(now) if project else None
