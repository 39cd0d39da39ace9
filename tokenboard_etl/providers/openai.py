"""OpenAI's costs: what to ask and how to read the answer. They are the truth that bills are made from.

| report | endpoint | grain | notes |
|---|---|---|---|
| costs | GET /organization/costs | UTC day x project x line item x API key | dollars as text or number; the truth |
| costs_total | GET /organization/costs | UTC day | the control total: asked apart, not grouped |

Restated for days after the fact, so the caller re-reads. One year back at most.
"""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from tokenboard_etl.errors import ProviderRejected
from tokenboard_etl.money import exact
from tokenboard_etl.periods import Window, utc_day
from tokenboard_etl.providers.openai_buckets import DAY, PROVIDER, BucketPage, BucketReport, BucketRow, walk_days
from tokenboard_etl.providers.wire import Fetch, Request, Wire, WireAmount, read

log = logging.getLogger("tokenboard.openai")

COSTS_PAGE_DAYS = 180
COSTS_BY = ("project_id", "line_item", "api_key_id")


class Amount(Wire):
    value: WireAmount
    currency: str


class CostRow(BucketRow):
    amount: Amount
    line_item: str | None = None
    project_id: str | None = None
    api_key_id: str | None = None
    quantity: WireAmount | None = None
    quantity_unit: str | None = None

    def objection(self) -> str | None:
        if self.amount.currency.lower() == "usd":
            return None
        return f"is in {self.amount.currency!r}, not USD. Nothing of it was loaded; this system bills from US dollars."


async def costs(fetch: Fetch, window: Window) -> frozenset[date]:
    """Costs per project, line item and API key. Returns the days the provider confirmed.

    Splitting by API key is refused before a floor date the provider names; the days below it are then asked
    without the key, so that they carry no `api_key_id`.
    """
    try:
        return await walk_days(fetch, _costs(COSTS_BY), window)
    except ProviderRejected as refusal:
        floor = key_floor(refusal)
        if floor is None or floor <= window.start:
            raise
    log.warning("%s GET /organization/costs: days before %s carry no API key; it is not told", PROVIDER, floor)
    coarse = Window(window.start, min(floor, window.end))
    days = await walk_days(fetch, _costs(COSTS_BY[:2]), coarse)
    if floor < window.end:
        days |= await walk_days(fetch, _costs(COSTS_BY), Window(floor, window.end))
    return days


async def costs_total(fetch: Fetch, window: Window) -> frozenset[date]:
    """One ungrouped figure per day: what `costs` must add up to."""
    return await walk_days(fetch, _costs(()), window)


async def project_costs(fetch: Fetch, project_id: str, window: Window) -> dict[date, Decimal]:
    """One project's cost in USD per day, as far as the provider has it. Rows of others are left out.

    The filter is sent with a grouping, because without one it has been seen to do nothing.
    """
    report = replace(_costs(("project_id",)), filters=(("project_ids", project_id),))
    found = dict[date, Decimal]()

    async def kept(request: Request) -> Any:
        body = await fetch(request)
        for bucket in read(BucketPage[CostRow], request, body).data:
            rows = [row.amount.value for row in bucket.results if row.project_id == project_id]
            with exact():
                found[utc_day(datetime.fromtimestamp(bucket.start_time, UTC))] = sum(rows, Decimal(0))
        return body

    await walk_days(kept, report, window)
    return found


def key_floor(refusal: ProviderRejected) -> date | None:
    """The first whole day costs can be split by API key, when that is what the provider objected to."""
    found = re.search(r"group_by=api_key_id is not available.*?on or after (\d{9,11})", refusal.detail)
    return utc_day(datetime.fromtimestamp(int(found[1]) + DAY.seconds - 1, UTC)) if found else None


def _costs(group_by: tuple[str, ...]) -> BucketReport[CostRow]:
    return BucketReport("/organization/costs", BucketPage[CostRow], group_by, COSTS_PAGE_DAYS)
