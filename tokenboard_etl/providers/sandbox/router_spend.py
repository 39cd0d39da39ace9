"""One UTC day of the OpenRouter account, and every key's counters, from the same streams.

The cost of a request is fixed per stream, to 8 decimals, so that any total is requests times price, exactly.
A BYOK request is paid to the upstream at list price; OpenRouter's credits pay only its 5 % fee.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from tokenboard_etl.providers.sandbox import restatement
from tokenboard_etl.providers.sandbox.amounts import EXACT
from tokenboard_etl.providers.sandbox.draws import draw
from tokenboard_etl.providers.sandbox.meters import FIRST_YEAR, Readings
from tokenboard_etl.providers.sandbox.router_account import RouterAccount, RouterStream

FIRST_DAY = date(FIRST_YEAR, 1, 1)
_ONE_DAY = timedelta(days=1)
_UNSETTLED_DAYS = 3
_DECIMALS = 8
_FEE_PERCENT = 5


@dataclass(frozen=True, slots=True)
class SpendRow:
    """Requests of one key (None: no key explains them) with one model endpoint on one day.

    `usage_usd` is what credits paid, `byok_usd` what the upstream charges directly.
    """

    usage_date: date
    key_hash: str | None
    workspace_id: str
    model: str
    model_permaslug: str
    provider_name: str
    endpoint_id: str
    is_byok: bool
    usage_usd: Decimal
    byok_usd: Decimal
    requests: int
    prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    cached_tokens: int


@dataclass(frozen=True, slots=True)
class Spent:
    """What was spent in some time: from credits, and at upstream providers."""

    usage_usd: Decimal
    byok_usd: Decimal


class RouterSpend:
    def __init__(self, seed: int, readings: Readings, account: RouterAccount) -> None:
        self._seed = seed
        self._readings = readings
        self._streams = account.streams
        self._prices = {stream.meter.name: _price(stream) for stream in account.streams}
        self._by_key: dict[str | None, list[RouterStream]] = {}
        for stream in account.streams:
            self._by_key.setdefault(stream.key_hash, []).append(stream)

    def rows(self, day: date, seen_at: datetime, key_hash: str | None = None) -> list[SpendRow]:
        """Every stream (of one key, if one is given) with requests on a day, as visible at a moment."""
        if day < FIRST_DAY:
            return []
        return [
            self._row(stream, day, requests)
            for stream in (self._streams if key_hash is None else self._by_key.get(key_hash, ()))
            if (requests := self._visible(stream, day, seen_at))
        ]

    def spent(self, key_hash: str | None, first: date, seen_at: datetime) -> Spent:
        """Everything one key spent from a day on, up to a moment."""
        return self._sum(self._by_key.get(key_hash, []), first, seen_at)

    def spent_by_all(self, seen_at: datetime) -> Spent:
        """Everything the account ever spent."""
        return self._sum(self._streams, FIRST_DAY, seen_at)

    def _sum(self, streams: tuple[RouterStream, ...] | list[RouterStream], first: date, seen_at: datetime) -> Spent:
        usage = byok = 0
        for stream in streams:
            requests = self._requests_since(stream, max(first, FIRST_DAY), seen_at)
            paid, upstream = self._prices[stream.meter.name]
            usage += requests * paid
            byok += requests * upstream
        return Spent(_usd(usage), _usd(byok))

    def _requests_since(self, stream: RouterStream, first: date, seen_at: datetime) -> int:
        today = seen_at.astimezone(UTC).date()
        total = 0
        day = first
        while day <= today:
            next_month = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
            if day.day == 1 and next_month + _ONE_DAY * _UNSETTLED_DAYS <= today:
                total += self._readings.month(stream.meter, day.year, day.month).total
                day = next_month
            else:
                total += self._visible(stream, day, seen_at)
                day += _ONE_DAY
        return total

    def _visible(self, stream: RouterStream, day: date, seen_at: datetime) -> int:
        requests = self._readings.on(stream.meter, day)
        age = restatement.age_of(day, seen_at)
        if not requests or age >= restatement.OPENROUTER_SETTLES_AFTER:
            return requests
        minute = restatement.minutes_into(day, seen_at)
        passed = self._readings.until_minute(stream.meter, requests, minute)
        share = restatement.openrouter_share(draw(self._seed, "late", stream.meter.name, day), age)
        return passed * share // restatement.WHOLE

    def _row(self, stream: RouterStream, day: date, requests: int) -> SpendRow:
        model = stream.model
        paid, upstream = self._prices[stream.meter.name]
        return SpendRow(
            usage_date=day,
            key_hash=stream.key_hash,
            workspace_id=stream.workspace_id,
            model=model.slug,
            model_permaslug=model.permaslug,
            provider_name=model.provider,
            endpoint_id=stream.endpoint_id,
            is_byok=stream.byok,
            usage_usd=_usd(requests * paid),
            byok_usd=_usd(requests * upstream),
            requests=requests,
            prompt_tokens=requests * model.prompt_tokens,
            completion_tokens=requests * model.completion_tokens,
            reasoning_tokens=requests * model.reasoning_tokens,
            cached_tokens=requests * model.cached_tokens,
        )


def total_of(rows: Iterator[SpendRow] | list[SpendRow]) -> Spent:
    """The sum of rows, exact."""
    usage = byok = Decimal(0)
    for row in rows:
        usage = EXACT.add(usage, row.usage_usd)
        byok = EXACT.add(byok, row.byok_usd)
    return Spent(usage, byok)


def _usd(units: int) -> Decimal:
    return Decimal(f"{units}E-{_DECIMALS}")


def _price(stream: RouterStream) -> tuple[int, int]:
    """Units of 1e-8 USD per request: from credits, and at the upstream."""
    model = stream.model
    usd = Decimal(model.prompt_usd) * model.prompt_tokens + Decimal(model.completion_usd) * model.completion_tokens
    units = int(EXACT.scaleb(usd, _DECIMALS))
    return (units * _FEE_PERCENT // 100, units) if stream.byok else (units, 0)
