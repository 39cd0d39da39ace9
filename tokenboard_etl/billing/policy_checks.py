"""What each part of a policy cannot see by itself: ids given twice, rules of which neither goes first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations
from typing import NamedTuple

from tokenboard_etl.billing.policy import UNCATEGORISED, Policy
from tokenboard_etl.billing.policy_globs import is_glob, matches
from tokenboard_etl.billing.policy_rules import Scoped

Place = tuple[str | int, ...]
"""Where in the file: section, position in it, key."""

PROVIDERS = ("openai", "openrouter")
RESERVED = "default-"
"""What the ids of built-in rules begin with."""


class Problem(NamedTuple):
    """`other` is the second place that has to do with it."""

    place: Place
    message: str
    other: Place | None = None


def problems_of(policy: Policy) -> Iterator[Problem]:
    """Everything that keeps the parts of a policy from standing side by side."""
    yield from _ids(policy)
    yield from _names(policy)
    yield from _rates(policy)
    if policy.own_accounts:  # better refused than taken and not done
        yield Problem(("own_accounts",), "spend on tenants' own accounts cannot be invoiced yet; leave it at false")
    for section in policy.model_fields_set:
        yield from _ambiguities(section, getattr(policy, section))


def _ids(policy: Policy) -> Iterator[Problem]:
    first: dict[str, Place] = {}
    for section in sorted(policy.model_fields_set):
        rules = getattr(policy, section)
        for position, rule in enumerate(rules if isinstance(rules, tuple) else ()):
            place = (section, position, "id")
            if rule.id.startswith(RESERVED):
                yield Problem(place, f"ids that begin with {RESERVED!r} are those of built-in rules; take another")
            if rule.id in first:
                yield Problem(place, f"the id {rule.id!r} is taken", first[rule.id])
            first.setdefault(rule.id, place)


def _names(policy: Policy) -> Iterator[Problem]:
    """A name that can never occur is a slip of the pen."""
    categories = sorted({rule.category for rule in policy.categories} | {UNCATEGORISED})
    for position, margin in enumerate(policy.margins):
        for key, pattern, known in (
            ("provider", margin.provider, PROVIDERS),
            ("category", margin.category, tuple(categories)),
        ):
            if pattern is not None and not any(matches(pattern, name) for name in known):
                yield Problem(("margins", position, key), f"{pattern!r} matches none of {', '.join(known)}")
    for position, price in enumerate(policy.fallback_prices):
        if "fallback_prices" in policy.model_fields_set and price.category not in categories:
            place = ("fallback_prices", position, "category")
            yield Problem(place, f"{price.category!r} is none of {', '.join(categories)}")


def _rates(policy: Policy) -> Iterator[Problem]:
    first: dict[object, int] = {}
    for position, entry in enumerate(policy.fx):
        earlier = first.setdefault((entry.currency, entry.valid_from), position)
        if earlier != position:
            message = f"{policy.fx[earlier].id!r} and {entry.id!r} give {entry.currency} from the same day on"
            yield Problem(("fx", position, "from"), message, ("fx", earlier))


def _ambiguities(section: str, rules: object) -> Iterator[Problem]:
    """Rules can only tie if they agree in what is exact, so only those are held against each other."""
    alike: dict[object, list[tuple[int, Scoped]]] = defaultdict(list)
    for position, rule in enumerate(rules if isinstance(rules, tuple) else ()):
        if isinstance(rule, Scoped) and section != "fees":  # fees do not compete, they add up
            exactly = tuple(None if p is None or is_glob(p) else p for p in rule.patterns)
            alike[rule.slot, rule.precedence, exactly].append((position, rule))
    for group in alike.values():
        for (earlier, one), (position, other) in combinations(group, 2):
            if one.collides_with(other):
                message = (
                    f"{one.id!r} and {other.id!r} can hold for the same thing on the same day, and neither goes first: "
                    "end one with `until`, or narrow it with a further field"
                )
                yield Problem((section, position), message, (section, earlier))
