"""How many examples a property test tries."""

from __future__ import annotations

from hypothesis import settings

AT_LENGTH = "at-length"
"""The profile of `make endurance`."""


def examples(number: int) -> int:
    """All of them with `make endurance`, a fifth with `make test`; each of these examples goes through a database."""
    return number if settings.get_current_profile_name() == AT_LENGTH else max(number // 5, 5)
