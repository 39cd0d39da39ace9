"""Providers' answers made beforehand: the same bytes for the same seed, and the totals they must add up to.

Amounts are drawn as whole attodollars (1e-18 USD), so the oracle is a sum of integers and shares nothing with
the code that is measured.
"""

from __future__ import annotations

import json
import random
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

DAY_S = 86_400
ORACLE = "oracle.json"
USAGE_SHARE = 5
"""One row of tokens for so many rows of costs."""


@dataclass(frozen=True)
class Size:
    """One organization: `projects` x `line_items` cost rows on each of `days`, from `first_day` on.

    `organization` tells it from the others of a world; no two share a project. With `spending_days` there are rows on
    the first so many days alone.
    """

    projects: int
    line_items: int
    days: int
    seed: int = 0
    first_day: str = "2026-05-01"
    organization: int = 0
    spending_days: int | None = None

    @property
    def dates(self) -> list[date]:
        first = date.fromisoformat(self.first_day)
        return [first + timedelta(days=number) for number in range(self.days)]

    @property
    def admin_key(self) -> str:
        """The key the server knows this organization by."""
        return f"sk-admin-benchmark-{self.organization:03d}"

    def project(self, number: int) -> str:
        return f"proj_{self.organization:03d}_{number:06d}"

    @property
    def night(self) -> datetime:
        """The instant of the nightly that reads all of it."""
        return datetime.combine(self.dates[-1] + timedelta(days=1), datetime.min.time(), UTC) + timedelta(hours=2)


@dataclass(frozen=True)
class Oracle:
    """What the warehouse must hold: rows, tokens and the exact cost of each day."""

    cost_rows: int
    usage_rows: int
    tokens: int
    cost_usd: dict[date, Decimal]
    body_bytes: int


def write_world(size: Size, folder: Path) -> Oracle:
    """Writes a file per report and day, each one whole bucket, and the oracle."""
    folder.mkdir(parents=True, exist_ok=True)
    cost_usd, tokens, written = dict[date, Decimal](), 0, 0
    usage_items, spending = -(-size.line_items // USAGE_SHARE), size.dates[: size.spending_days]
    for day in size.dates:
        projects = size.projects if day in spending else 0
        draw = random.Random(f"{size.seed} {size.organization} {day}")  # noqa: S311 - the same bytes for the same seed
        costs, attodollars = _costs(size, projects, draw)
        usage, used = _usage(size, projects, usage_items, draw)
        total = _decimal(attodollars)
        cost_usd[day], tokens = total, tokens + used
        control = f'{{"object":"organization.costs.result","amount":{{"value":"{total}","currency":"usd"}}}}'
        for report, rows in (("costs", costs), ("costs_total", [control]), ("completions", usage)):
            content = _bucket(day, rows)
            (folder / f"{report}-{day}.json").write_bytes(content)
            written += len(content)
    spent = size.projects * len(spending)
    oracle = Oracle(spent * size.line_items, spent * usage_items, tokens, cost_usd, written)
    shown = {**asdict(oracle), "cost_usd": {str(day): str(cost) for day, cost in cost_usd.items()}}
    (folder / ORACLE).write_text(json.dumps({"size": asdict(size), **shown}, indent=1))
    return oracle


def _costs(size: Size, projects: int, draw: random.Random) -> tuple[list[str], int]:
    rows, total = list[str](), 0
    for name in map(size.project, range(projects)):
        for item in range(size.line_items):
            if item % 10 == 9:  # a number with few digits, as older answers have it
                amount = draw.getrandbits(22) * 10**12
                value = f"{_decimal(amount):.6f}"
            else:
                amount = draw.getrandbits(61)
                value = f'"{_decimal(amount)}"'
            total += amount
            rows.append(
                f'{{"object":"organization.costs.result","amount":{{"value":{value},"currency":"usd"}},'
                f'"line_item":"model-{item}, input","project_id":"{name}","api_key_id":"key_{name}",'
                f'"quantity":{amount % 10**6}.0,"quantity_unit":"tokens"}}'
            )
    return rows, total


def _usage(size: Size, projects: int, models: int, draw: random.Random) -> tuple[list[str], int]:
    rows, total = list[str](), 0
    for name in map(size.project, range(projects)):
        for model in range(models):
            given, cached, made = draw.getrandbits(24), draw.getrandbits(20), draw.getrandbits(20)
            total += given + cached + made
            rows.append(
                f'{{"object":"organization.usage.completions.result","input_tokens":{given + cached},'
                f'"output_tokens":{made},"num_model_requests":{1 + made // 1000},"project_id":"{name}",'
                f'"user_id":null,"api_key_id":"key_{name}","model":"model-{model}","batch":false,'
                f'"service_tier":"default","input_cached_tokens":{cached},"input_audio_tokens":0,"output_audio_tokens":0}}'
            )
    return rows, total


def _decimal(attodollars: int) -> Decimal:
    return Decimal(f"{attodollars // 10**18}.{attodollars % 10**18:018d}")


def _bucket(day: date, rows: list[str]) -> bytes:
    start = int(datetime.combine(day, datetime.min.time(), UTC).timestamp())
    head = f'{{"object":"bucket","start_time":{start},"end_time":{start + DAY_S},"results":['
    return (head + ",".join(rows) + "]}").encode()
