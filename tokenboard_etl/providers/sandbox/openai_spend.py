"""One UTC day of an OpenAI organization: usage per key and model, and the costs that follow from it.

The costs report prices final usage; what is visible at a moment follows `restatement`. Usage itself is
complete as soon as its minutes have passed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import TypeVar

from tokenboard_etl.providers.sandbox import restatement
from tokenboard_etl.providers.sandbox.amounts import from_pico
from tokenboard_etl.providers.sandbox.catalog import TOKEN_KINDS
from tokenboard_etl.providers.sandbox.draws import draw
from tokenboard_etl.providers.sandbox.meters import MINUTES_PER_DAY, Readings
from tokenboard_etl.providers.sandbox.organizations import Organization, Person, TextStream, ToolStream

ORG_LEVEL_ITEM = "scale tier bundle"
_ORG_LEVEL_PICO = 41_500_000_000_000
_TAIL_LIMIT = 10**21
_HALVES = {"default": 2, "flex": 1, "priority": 4}
"""What a service tier costs, in halves of the list price; batch costs one half."""

Stream = TypeVar("Stream", TextStream, ToolStream)


@dataclass(frozen=True, slots=True)
class CostRow:
    """One bill row. `amount_usd` is exact; without a project or key the cost belongs to the organization."""

    usage_date: date
    project_id: str | None
    line_item: str
    api_key_id: str | None
    user_id: str | None
    amount_usd: Decimal
    quantity: Decimal | None
    quantity_unit: str | None


@dataclass(frozen=True, slots=True)
class CompletionRow:
    """Usage of one key with one model in one way; the kinds of input are disjoint."""

    usage_date: date
    project_id: str
    user_id: str
    api_key_id: str
    model: str
    batch: bool
    service_tier: str
    num_model_requests: int
    input_text: int
    input_audio: int
    input_image: int
    cached_text: int
    cached_audio: int
    cache_write: int
    output_text: int
    output_audio: int

    @property
    def input_uncached_tokens(self) -> int:
        return self.input_text + self.input_audio + self.input_image

    @property
    def input_cached_tokens(self) -> int:
        return self.cached_text + self.cached_audio

    @property
    def input_tokens(self) -> int:
        return self.input_uncached_tokens + self.input_cached_tokens + self.cache_write

    @property
    def output_tokens(self) -> int:
        return self.output_text + self.output_audio


@dataclass(frozen=True, slots=True)
class ToolRow:
    """Usage outside completions; `measures` and `dimensions` are named as on the wire."""

    usage_date: date
    endpoint: str
    project_id: str
    user_id: str
    api_key_id: str
    model: str | None
    dimensions: tuple[tuple[str, str], ...]
    measures: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class _Line:
    """A final bill row before it is looked at: money in picodollars, `tail` in units of the 39th decimal."""

    key: tuple[str | None, str, str | None]
    owner: Person | None
    pico: int
    tail: int
    quantity: int | None
    unit: str | None
    bits: int


class OpenAISpend:
    """The truth of both organizations; final days are remembered, question order does not matter."""

    def __init__(self, seed: int, readings: Readings, organizations: tuple[Organization, ...]) -> None:
        self._seed = seed
        self._readings = readings
        self._organizations = {org.id: org for org in organizations}
        self._final: dict[tuple[str, date], tuple[_Line, ...]] = {}
        self._settled: dict[tuple[str, date], tuple[CostRow, ...]] = {}

    def completions(
        self, org_id: str, day: date, seen_at: datetime, start: int = 0, end: int = MINUTES_PER_DAY
    ) -> Iterator[CompletionRow]:
        """Usage between two minutes of a day, as far as it has happened."""
        for stream, before, after in self._passed(self._organizations[org_id].text_streams, day, seen_at, start, end):
            tokens = _tokens_until(self._seed, stream, day, after)
            if before:
                earlier = _tokens_until(self._seed, stream, day, before)
                tokens = {kind: tokens[kind] - earlier[kind] for kind in TOKEN_KINDS}
            key = stream.key
            yield CompletionRow(
                usage_date=day,
                project_id=key.project_id,
                user_id=key.owner.id,
                api_key_id=key.id,
                model=stream.model.name,
                batch=stream.batch,
                service_tier=stream.tier,
                num_model_requests=after - before,
                **tokens,
            )

    def tools(
        self,
        org_id: str,
        endpoint: str,
        day: date,
        seen_at: datetime,
        start: int = 0,
        end: int = MINUTES_PER_DAY,
    ) -> Iterator[ToolRow]:
        """Usage of one other endpoint between two minutes of a day."""
        for stream, before, after in self._passed(self._organizations[org_id].tool_streams, day, seen_at, start, end):
            tool, key = stream.tool, stream.key
            if tool.endpoint == endpoint:
                measures = tuple((name, each * (after - before)) for name, each in tool.measures)
                yield ToolRow(
                    day, endpoint, key.project_id, key.owner.id, key.id, tool.model, tool.dimensions, measures
                )

    def costs(self, org_id: str, day: date, seen_at: datetime) -> tuple[CostRow, ...]:
        """The bill rows of a day as they are visible at a moment."""
        age = restatement.age_of(day, seen_at)
        if age >= restatement.OPENAI_SETTLES_AFTER:
            found = self._settled.get((org_id, day))
            if found is None:
                found = self._settled[org_id, day] = tuple(self._visible(org_id, day, seen_at))
            return found
        return tuple(self._visible(org_id, day, seen_at))

    def _visible(self, org_id: str, day: date, seen_at: datetime) -> Iterator[CostRow]:
        age = restatement.age_of(day, seen_at)
        if restatement.minutes_into(day, seen_at) == 0:
            return
        zeroed = self.zeroed_project(org_id, day) if age >= restatement.ZEROED_AFTER else None
        vanished = self.vanishing_row(org_id, day) if age >= restatement.VANISHES_AFTER else None
        for line in self._final_lines(org_id, day):
            if line.key == vanished:
                continue
            share = restatement.openai_share(line.bits, age)
            row = _row(day, line, share)
            if zeroed is not None and line.key[0] == zeroed:
                row = replace(row, amount_usd=Decimal(0))
            if row.amount_usd or row.quantity:
                yield row

    def zeroed_project(self, org_id: str, day: date) -> str | None:
        """The project whose rows of this day become zero 60 hours after the day's end."""
        if day.day == restatement.ZEROED_DAY_OF_MONTH:
            return self._organizations[org_id].restated_project_id
        return None

    def vanishing_row(self, org_id: str, day: date) -> tuple[str | None, str, str | None] | None:
        """Project, line item and key of the row gone from 48 hours on; about one day in thirty has one."""
        bits = draw(self._seed, "vanish", org_id, day)
        lines = self._final_lines(org_id, day)
        return lines[(bits >> 8) % len(lines)].key if bits % 30 == 0 and lines else None

    def _passed(
        self, streams: tuple[Stream, ...], day: date, seen_at: datetime, start: int, end: int
    ) -> Iterator[tuple[Stream, int, int]]:
        """Streams with requests in the minutes asked for, with the count before and at the end of them."""
        end = min(end, restatement.minutes_into(day, seen_at))
        if end <= start:
            return
        for stream in streams:
            requests = self._readings.on(stream.meter, day)
            if not requests:
                continue
            before = self._readings.until_minute(stream.meter, requests, start)
            after = self._readings.until_minute(stream.meter, requests, end)
            if after > before:
                yield stream, before, after

    def _final_lines(self, org_id: str, day: date) -> tuple[_Line, ...]:
        found = self._final.get((org_id, day))
        if found is None:
            found = self._final[org_id, day] = tuple(self._price(self._organizations[org_id], day))
        return found

    def _price(self, org: Organization, day: date) -> Iterator[_Line]:
        bill: dict[tuple[str | None, str, str | None], tuple[int, int, str | None, Person]] = {}
        for text in org.text_streams:
            requests = self._readings.on(text.meter, day)
            tokens = _tokens_until(self._seed, text, day, requests) if requests else {}
            for price in text.model.prices if requests else ():
                halves = 1 if text.batch else _HALVES[text.tier]
                item = f"{text.surface} | {price.line_item}" if text.surface else price.line_item
                n = tokens[price.kind]
                _add(bill, text, item, n * price.pico_usd * halves // 2, n, "tokens")
        for tool in org.tool_streams:
            requests = self._readings.on(tool.meter, day)
            for charge in tool.tool.charges if requests else ():
                n = requests * charge.quantity
                _add(bill, tool, charge.line_item, n * charge.pico_usd, n, charge.unit)
        for key, (pico, quantity, unit, owner) in bill.items():
            bits = draw(self._seed, "row", day, *key)
            tail = (bits >> 3) * 104_729 % _TAIL_LIMIT if pico and bits % 5 < 2 else 0
            yield _Line(key, owner, pico, tail, quantity, unit, bits)
        bits = draw(self._seed, "organization", org.id, day)
        yield _Line((None, ORG_LEVEL_ITEM, None), None, _ORG_LEVEL_PICO, 0, None, None, bits)


def _add(
    bill: dict[tuple[str | None, str, str | None], tuple[int, int, str | None, Person]],
    stream: TextStream | ToolStream,
    item: str,
    pico: int,
    quantity: int,
    unit: str | None,
) -> None:
    key = (stream.key.project_id, item, stream.key.id)
    known = bill.get(key, (0, 0, unit, stream.key.owner))
    bill[key] = (known[0] + pico, known[1] + quantity, unit, stream.key.owner)


def _tokens_until(seed: int, stream: TextStream, day: date, requests: int) -> dict[str, int]:
    """Tokens of a day's first requests. Their length differs from day to day by up to a tenth."""
    length = 90 + draw(seed, "length", stream.meter.name, day) % 21
    tokens = dict.fromkeys(TOKEN_KINDS, 0)
    for price in stream.model.prices:
        tokens[price.kind] = requests * price.per_request * length // 100
    return tokens


def _row(day: date, line: _Line, share: int) -> CostRow:
    pico = line.pico * share // restatement.WHOLE
    quantity = None if line.quantity is None else Decimal(line.quantity * share // restatement.WHOLE)
    return CostRow(
        usage_date=day,
        project_id=line.key[0],
        line_item=line.key[1],
        api_key_id=line.key[2],
        user_id=line.owner.id if line.owner else None,
        amount_usd=from_pico(pico, line.tail) if pico else Decimal(0),
        quantity=quantity,
        quantity_unit=line.unit,
    )
