"""What an error must be, whatever was read; and how many inputs are tried."""

from __future__ import annotations

import resource
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import HealthCheck, settings

from examples import AT_LENGTH
from tokenboard_etl.errors import TokenboardError
from tokenboard_etl.files import UnreadableFile

Outcomes = Counter[tuple[str, str]]
INPUTS = "inputs"
_LONGEST_WORDS = 1_000
_MOST_LINES = 3
_MOST_CPU_S = 20
_MOST_GROWTH_KB = 1_500_000

ACCEPTED = "accepted"
Test = Callable[..., Any]


def inputs(at_length: int, sample: int = 25) -> Callable[[Test], Test]:
    """So many with `make endurance`, and a sample with `make test`."""
    long = settings.get_current_profile_name() == AT_LENGTH
    return settings(
        max_examples=at_length if long else sample,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
    )


def as_table(outcomes: Outcomes) -> Iterator[str]:
    """Lines of text: of each reader how many inputs it was given, and what it made of them."""
    for reader in sorted({reader for reader, _ in outcomes}):
        parts = {outcome: count for (name, outcome), count in outcomes.items() if name == reader}
        told = ", ".join(f"{outcome} {count}" for outcome, count in sorted(parts.items()))
        yield f"{reader:<34} {sum(parts.values()):>7}  {told}"


@contextmanager
def accepted_or_refused(outcomes: Outcomes, reader: str, *named: str) -> Iterator[None]:
    """The block may end, or raise one clear error of ours that names what it is about; it takes a bounded effort."""
    began_s, before_kb = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        yield
    except (TokenboardError, UnreadableFile) as error:
        said = str(error)
        assert said.strip()
        assert len(said) <= _LONGEST_WORDS, said
        assert said.count("\n") < _MOST_LINES, said
        assert "Traceback" not in said
        assert all(word in said for word in named), said
        assert said.replace("\n", " ").isprintable(), ascii(said)
        outcomes[reader, type(error).__name__] += 1
    else:
        outcomes[reader, ACCEPTED] += 1
    assert time.process_time() - began_s < _MOST_CPU_S
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < _MOST_GROWTH_KB
