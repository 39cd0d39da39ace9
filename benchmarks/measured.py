"""What is kept of one process that was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from benchmarks.process import Watched


@dataclass
class Stage:
    """A part of a process. `rss_mb` is the most that was held meanwhile; None: not known."""

    wall_s: float = 0.0
    cpu_s: float | None = None
    rss_mb: int | None = None


@dataclass(frozen=True)
class Measured:
    """One process, start and end included. `cpu_s` is what it used on all cores.

    `off_usd` is by how much its days differ from the oracle's in all; `exact` says that nothing differs, rows and
    tokens included.
    """

    what: str
    wall_s: float
    cpu_s: float
    peak_rss_mb: int
    rows: int
    exact: bool
    off_usd: str = "0"
    stages: Mapping[str, Stage] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        what: str,
        watched: Watched,
        rows: int,
        exact: bool,
        off_usd: Decimal = Decimal(0),
        stages: Mapping[str, Stage] | None = None,
    ) -> Measured:
        figures = round(watched.wall_s, 3), round(watched.cpu_s, 3), watched.peak_rss_mb
        return cls(what, *figures, rows, exact, f"{off_usd:f}" if off_usd else "0", stages or {})

    def beyond(self, *stages: str) -> tuple[float, float]:
        """Wall and CPU seconds without some stages."""
        left = [self.stages[name] for name in stages if name in self.stages]
        wall, cpu = sum(stage.wall_s for stage in left), sum(stage.cpu_s or 0 for stage in left)
        return self.wall_s - wall, self.cpu_s - cpu


def difference_usd(found: Mapping[date, Decimal], expected: Mapping[date, Decimal]) -> Decimal:
    """The sum of what the days differ by, whatever the direction."""
    return sum(
        (abs(found.get(day, Decimal(0)) - expected.get(day, Decimal(0))) for day in {*found, *expected}), Decimal(0)
    )
