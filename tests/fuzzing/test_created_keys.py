"""Answers to a request that made a key, which no other answer shows again: taken, or refused without telling it."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzzing.clear import Outcomes, accepted_or_refused, inputs
from fuzzing.mutations import ANYTHING, as_json, mutated, places, spoiled
from tokenboard_etl.extraction import parse
from tokenboard_etl.providers import openai_changes, openrouter_changes
from tokenboard_etl.providers.wire import Fetch, Request

SECRET = "Zq7w-Xk29Lm4-Rt8Vb1nC6-yUe3"
"""Begins like no key that is known."""

SHOWN = 8
"""So many characters of it in a row are too many."""

MAKING: dict[str, tuple[Callable[[Fetch], Awaitable[Any]], Any]] = {
    "openai": (
        lambda fetch: openai_changes.create_service_account(fetch, "proj_1", "acme"),
        {
            "object": "organization.project.service_account",
            "id": "user-1",
            "name": "acme",
            "role": "member",
            "created_at": 1711471533,
            "api_key": {"object": "x", "value": SECRET, "name": "Secret Key", "created_at": 1711471533, "id": "key_1"},
        },
    ),
    "openrouter": (
        lambda fetch: openrouter_changes.create_key(fetch, "acme", Decimal(10)),
        {
            "key": SECRET,
            "data": {
                "hash": "f" * 64,
                "name": "acme",
                "label": "sk-or-v1-abc...123",
                "disabled": False,
                "limit": 10,
                "limit_remaining": 10,
                "limit_reset": "monthly",
                "usage": 0,
                "usage_daily": 0,
                "usage_weekly": 0,
                "usage_monthly": 0,
                "byok_usage": 0,
                "created_at": "2026-06-15T02:00:00Z",
                "updated_at": None,
                "workspace_id": "w",
            },
        },
    ),
}


@st.composite
def misplaced(draw: st.DrawFn, answer: Any) -> Any:
    """The key stands in another field, or in all of a few."""
    tree = copy.deepcopy(answer)
    for *way, last in draw(st.lists(st.sampled_from(places(answer)), min_size=1, max_size=3)):
        inner = tree
        for step in way:
            inner = inner[step] if isinstance(inner, dict) else {}
        if isinstance(inner, dict):
            inner[last] = SECRET
    return tree


@pytest.mark.parametrize("provider", MAKING)
@inputs(2_000, sample=100)
@given(st.data())
def test_an_answer_with_a_new_key_is_taken_or_refused_and_the_key_is_not_told(
    outcomes: Outcomes, provider: str, data: st.DataObject
) -> None:
    making, answer = MAKING[provider]
    changed = data.draw(
        st.one_of(
            spoiled(mutated(st.just(answer)).map(as_json)),
            misplaced(answer).map(lambda tree: json.dumps(tree).encode()),
            spoiled(st.just(json.dumps(answer))),
            ANYTHING,
        )
    )

    async def fetch(request: Request) -> Any:
        return parse(request, bytes(changed))

    with accepted_or_refused(outcomes, f"a new key of {provider}", provider):
        try:
            asyncio.run(making(fetch))
        except Exception as error:
            told = str(error)
            assert not any(SECRET[at : at + SHOWN] in told for at in range(len(SECRET) - SHOWN)), told
            raise
