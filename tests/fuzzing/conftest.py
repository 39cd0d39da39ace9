"""How many inputs each reader was given, and what it made of them: the table a campaign ends with."""

from __future__ import annotations

from collections import Counter

import pytest

from fuzzing.clear import Outcomes

_OUTCOMES = pytest.StashKey[Outcomes]()


@pytest.fixture(scope="session")
def outcomes(pytestconfig: pytest.Config) -> Outcomes:
    """By reader and by what became of an input."""
    return pytestconfig.stash.setdefault(_OUTCOMES, Counter())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not (found := config.stash.get(_OUTCOMES, Counter())):
        return
    terminalreporter.section("inputs")
    for reader in sorted({reader for reader, _ in found}):
        parts = {outcome: count for (name, outcome), count in found.items() if name == reader}
        told = ", ".join(f"{outcome} {count}" for outcome, count in sorted(parts.items()))
        terminalreporter.write_line(f"{reader:<34} {sum(parts.values()):>7}  {told}")
