"""What the tables must come to, reckoned from the sandbox's world and not by our code."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal, localcontext

from tokenboard_etl.periods import Window
from tokenboard_etl.providers.sandbox.world import World


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
