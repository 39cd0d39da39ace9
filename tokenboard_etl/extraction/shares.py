"""Which projects are read tonight: thousands of them take turns, so that no provider is asked thousands of times."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import date, timedelta

from tokenboard_etl.periods import start_of
from tokenboard_etl.providers.openai_entities import Project

PROJECTS_A_NIGHT = 200
MOST_NIGHTS = 7
NEW_FOR = timedelta(days=2)


def due(projects: Sequence[Project], today: date) -> list[Project]:
    """The projects whose turn it is, and those created in the last two days.

    Up to 200 projects are all read every night; above, they share as many nights as that takes, a week at most. The
    turn follows from the id and the day alone, so a second run of a night reads the same ones.
    """
    nights = min(MOST_NIGHTS, max(1, -(-len(projects) // PROJECTS_A_NIGHT)))
    new_since_epoch = int(start_of(today - NEW_FOR).timestamp())
    return [
        project
        for project in projects
        if _turn(project.id, nights) == today.toordinal() % nights or project.created_at >= new_since_epoch
    ]


def _turn(project_id: str, nights: int) -> int:
    return int.from_bytes(hashlib.sha256(project_id.encode()).digest()) % nights
