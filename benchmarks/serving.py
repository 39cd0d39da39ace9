"""A world made beforehand and served from a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

from benchmarks.world import Oracle, Size, write_world

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class World:
    """Organizations, what each must add up to, and the port they are served at."""

    sizes: Sequence[Size]
    oracles: Sequence[Oracle]
    port: int

    @property
    def rows(self) -> int:
        return sum(oracle.cost_rows + oracle.usage_rows for oracle in self.oracles)

    @property
    def cost_usd(self) -> dict[date, Decimal]:
        """What each day costs over all organizations."""
        return {day: sum((oracle.cost_usd[day] for oracle in self.oracles), Decimal(0)) for day in self.sizes[0].dates}

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"


@contextmanager
def served_world(sizes: Sequence[Size], folder: Path, *options: str) -> Iterator[World]:
    """Makes the organizations' answers and serves them; `options` are those of benchmarks.server."""
    oracles = [write_world(size, folder / str(size.organization)) for size in sizes]
    command = [sys.executable, "-m", "benchmarks.server", str(folder), *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603 - our own module
        try:
            assert server.stdout is not None  # noqa: S101 - asked for above
            yield World(sizes, oracles, int(server.stdout.readline()))
        finally:
            server.kill()  # it has nothing to put in order, and may have inherited that SIGTERM is ignored
