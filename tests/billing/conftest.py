"""A warehouse in memory, and what is put into it: usage rows, price files."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import duckdb
import pytest

from tokenboard_etl.billing.price_list import bundled_prices
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
