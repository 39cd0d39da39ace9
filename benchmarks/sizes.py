"""The three sizes everything is measured at, and two beyond: a month of tenants who have a project each.

A tenant's month is 31 days of 24 rows of costs and 5 of tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.world import Size

LINE_ITEMS, DAYS = 24, 31
_TENANTS = {
    "small": (25,),
    "medium": (250, 250),
    "large": (2500, 2500),
    "2 x large": (5000, 5000),
    "4 x large": (10_000, 10_000),
}
"""Tenants of each organization."""

NAMES = ("small", "medium", "large")
ALL_NAMES = tuple(_TENANTS)
"""With those that show where one machine ends; measured only when they are asked for."""


def organizations(name: str, *, days: int = DAYS, first_day: str = "2026-05-01", seed: int = 0) -> Sequence[Size]:
    """The organizations of a size, over so many days."""
    return [
        Size(tenants, LINE_ITEMS, days, seed, first_day, organization)
        for organization, tenants in enumerate(_TENANTS[name])
    ]
