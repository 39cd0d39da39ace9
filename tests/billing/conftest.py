"""A warehouse in memory, and what is put into it: usage rows, price files."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, date, datetime
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tokenboard_etl.billing import price_list
from tokenboard_etl.billing.price_list import bundled_prices
from tokenboard_etl.providers.sandbox.openai_spend import CompletionRow
from tokenboard_etl.warehouse.connection import configure
from tokenboard_etl.warehouse.migrations import migrate

NOW = datetime(2026, 12, 1, 2, 0, tzinfo=UTC)
"""A night after the snapshot's day."""

DAY = date(2026, 11, 30)


@pytest.fixture
def memory() -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty warehouse in memory."""
    connection = duckdb.connect()
    configure(connection)
    migrate(connection)
    yield connection
    connection.close()


def use(
    connection: duckdb.DuckDBPyConnection,
    model: str,
    *,
    day: date = DAY,
    batch: str = "false",
    tier: str = "default",
    **tokens: int | None,
) -> None:
    """One usage row; kinds that are not given are 0, totals that are not given are the sum of their parts."""
    parts: dict[str, Any] = dict.fromkeys(
        [
            *("input_cached_tokens", "input_cache_write_tokens", "output_tokens"),
            *("input_audio_tokens", "input_cached_audio_tokens", "output_audio_tokens"),
            *("input_image_tokens", "input_cached_image_tokens", "output_image_tokens", "input_uncached_tokens"),
        ],
        0,
    )
    parts |= tokens
    total = [parts[f"input_{part}_tokens"] or 0 for part in ("uncached", "cached", "cache_write")]
    parts.setdefault("input_tokens", sum(total))
    names = dict.fromkeys(("connection_id", "load_id", "project_id", "api_key_id", "user_id"), "any")
    values = {**names, "usage_date": day, "model": model, "batch": batch, "service_tier": tier, "requests": 1, **parts}
    columns = ", ".join(f"${name}::{_type(value)} AS {name}" for name, value in values.items())
    connection.execute(f"INSERT INTO raw.openai_completions BY NAME SELECT {columns}", values)


WIRE = {"cached_text": "cached_input", "cache_write": "cache_write", "output_text": "output", "input_text": "input"}
WIRE |= {"input_audio": "audio_input", "cached_audio": "audio_cached_input", "output_audio": "audio_output"}
WIRE |= {"input_image": "image_input"}
"""The sandbox's kinds of tokens, all of them disjoint, and the book's."""

NAMED = {
    "gpt-realtime-2.1-mini-2026-08-28": "gpt-realtime-2.1-mini",
    "ft:gpt-4o-2024-08-06:sandbox::Ab3xK9": "ft:gpt-4o-2024-08-06",
}


@cache
def standard_prices() -> dict[tuple[str, str], Fraction]:
    """The snapshot's standard prices for a million tokens, by model and kind of token."""
    with Path(price_list.__file__).with_name("prices.csv").open(newline="") as file:
        return {
            (row["model"], row["token_kind"]): Fraction(row["usd_per_million_tokens"])
            for row in csv.DictReader(file)
            if row["tier"] == "default"
        }


def usd_of(row: CompletionRow) -> Fraction:
    """What a row of the sandbox's world costs: batch and flex half the standard prices, priority twice."""
    factor = Fraction(1, 2) if row.batch else {"default": 1, "flex": Fraction(1, 2), "priority": 2}[row.service_tier]
    model, prices = NAMED.get(row.model, row.model), standard_prices()
    parts = [getattr(row, ours) * prices[model, kind] for ours, kind in WIRE.items() if getattr(row, ours)]
    return sum(parts, Fraction(0)) * factor / 1_000_000


def _type(value: object) -> str:
    return {str: "VARCHAR", date: "DATE"}.get(type(value), "HUGEINT")


def offered(changes: dict[str, dict[str, Any] | None]) -> dict[str, Any]:
    """LiteLLM's file with the snapshot's models, two prices each, but for `changes` by model (None: not in it)."""
    entries: dict[str, Any] = {"sample_spec": {"litellm_provider": "openai", "input_cost_per_token": 1}}
    for model, card in bundled_prices().items():
        entries[model] = {"litellm_provider": "openai"}
        for kind, name in (("input", "input_cost_per_token"), ("output", "output_cost_per_token")):
            if ("default", kind) in card:
                entries[model][name] = f"{card['default', kind]:f}"
    for model, change in changes.items():
        entries[model] = change and {**entries.get(model, {"litellm_provider": "openai"}), **change}
    return {model: each for model, each in entries.items() if each is not None}
