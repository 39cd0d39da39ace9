"""How many inputs each reader was given, and what it made of them: the table a campaign ends with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from fuzzing.clear import INPUTS, Outcomes

_OUTCOMES = pytest.StashKey[Outcomes]()


@pytest.fixture(scope="session")
def outcomes(pytestconfig: pytest.Config) -> Outcomes:
    """By reader and by what became of an input."""
    return pytestconfig.stash.setdefault(_OUTCOMES, Counter())


@pytest.fixture(autouse=True)
def _told(outcomes: Outcomes, request: pytest.FixtureRequest) -> Iterator[None]:
    """What a test adds comes home from every worker."""
    before = outcomes.copy()
    yield
    added = (outcomes - before).items()
    request.node.user_properties += [(INPUTS, [reader, outcome, count]) for (reader, outcome), count in added]
