"""What the tables must come to, reckoned from the sandbox's world and not by our code."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction

from tokenboard_etl.periods import Window
from tokenboard_etl.providers.sandbox.catalog import TEXT_MODELS
from tokenboard_etl.providers.sandbox.world import World

MODELS = {price.line_item: model.name for model in TEXT_MODELS for price in model.prices}
"""Which model a line of the bill is about, by the catalogue and not by its spelling."""


def expected_days(world: World, window: Window, seen_at: datetime) -> dict[tuple[date, str], tuple[Decimal, Decimal]]:
    """(day, connection) -> (tenants' cost, nobody's cost), with Decimal from the world's own rows."""
    projects = {p for tenant in world.tenants for p in tenant.openai_projects[world.organizations[0].id]}
    keys = {key for tenant in world.tenants for key in tenant.openrouter_keys}
    sums: dict[tuple[date, str], dict[bool, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    with localcontext(prec=80):
        for day in window.days():
            for cost in world.openai_costs(world.organizations[0].id, day, seen_at):
                amount = cost.amount_usd.quantize(Decimal("1e-18"), ROUND_HALF_UP)
                sums[day, "openai"][cost.project_id in projects] += amount
            for spend in world.openrouter_spend(day, seen_at):
                sums[day, "openrouter"][spend.key_hash in keys] += spend.usage_usd
        return {key: (by_owner[True], by_owner[False]) for key, by_owner in sums.items()}


def kind(tokens: int, requests: int) -> str:
    """The defaults in the words of the requirement: more than 5,000 tokens a request, more than 1,000, less."""
    size = Fraction(tokens, requests)
    return "cv-parsing" if size > 5_000 else "video-interview" if size > 1_000 else "question-generation"


def expected_categories(world: World, day: date, seen_at: datetime) -> dict[tuple[str, str, str], str]:
    """(account, API key, line item) -> category of a day's usage, by the defaults; empty where nobody's is known."""
    used: dict[tuple[str | None, ...], list[int]] = defaultdict(lambda: [0, 0])
    sizes: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0])
    found: dict[tuple[str, str, str], str] = {}
    organization = world.organizations[0].id
    for row in world.openai_completions(organization, day, seen_at):
        size = used[row.project_id, row.api_key_id, row.model]
        size[0] += row.input_tokens + row.output_tokens
        size[1] += row.num_model_requests
    for cost in world.openai_costs(organization, day, seen_at):
        item = cost.line_item.removeprefix("evals | ").removeprefix("decisions | ")
        tokens, requests = used.get((cost.project_id, cost.api_key_id, MODELS.get(item)), (0, 0))
        whose = (cost.project_id or "", cost.api_key_id or "", cost.line_item)
        found[whose] = kind(tokens, requests) if requests else "uncategorised"
    for spend in world.openrouter_spend(day, seen_at):
        if spend.key_hash:
            size = sizes[spend.key_hash, spend.key_hash, spend.model]
            size[0] += spend.prompt_tokens + spend.completion_tokens
            size[1] += spend.requests
    return found | {whose: kind(tokens, requests) for whose, (tokens, requests) in sizes.items()}
