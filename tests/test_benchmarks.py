"""The benchmarks' own arithmetic, and the page they write."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from benchmarks import baseline
from benchmarks.manners import Manners
from benchmarks.measured import difference_usd
from benchmarks.page import machine, write_page
from benchmarks.process import watch
from benchmarks.suite import PARTS
from benchmarks.tables import Table
from benchmarks.world import Size, write_world

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "performance.md").read_text()


def test_days_that_differ_in_opposite_directions_do_not_cancel() -> None:
    first, second = date(2026, 5, 1), date(2026, 5, 2)
    expected = {first: Decimal("1.000000000000000001"), second: Decimal(2)}
    assert difference_usd(expected, expected) == 0
    assert difference_usd({first: Decimal(1), second: Decimal("2.000000000000000001")}, expected) == Decimal("2e-18")
    assert difference_usd({first: expected[first]}, expected) == 2


def test_a_world_spends_on_its_spending_days_alone(tmp_path: Path) -> None:
    oracle = write_world(Size(projects=3, line_items=7, days=4, spending_days=2), tmp_path)
    assert (oracle.cost_rows, oracle.usage_rows) == (3 * 7 * 2, 3 * 2 * 2)
    assert [cost > 0 for cost in oracle.cost_usd.values()] == [True, True, False, False]
    pages = "".join(page.read_text() for page in tmp_path.glob("costs-*.json"))
    assert pages.count('"line_item"') == oracle.cost_rows


def test_the_slow_provider_counts_who_is_early_and_how_many_ask_at_once() -> None:
    manners = Manners(refuse_every=2)

    async def ask() -> list[bool]:
        async with manners.turn("a") as first, manners.turn("b") as second:
            pass
        async with manners.turn("b") as early:  # refused just now, and told to wait
            return [first, second, early]

    assert asyncio.run(ask()) == [True, False, True]
    assert manners.counted() == {"requests": 3, "refused": 1, "repeated_early": 1, "most_under_way": 2}


def test_a_process_is_not_said_to_hold_what_the_one_that_began_it_does(tmp_path: Path) -> None:
    """The kernel counts that as the process's own, up to the moment it runs the command."""
    status = Path("/proc/self/status")
    if not status.exists() or "VmHWM" not in status.read_text():
        pytest.skip("the kernel does not tell here what a process held")
    held = bytearray(300 * 2**20)
    sleeps = [sys.executable, "-c", "import time; time.sleep(0.3); bytearray(60 * 2**20); time.sleep(0.3)"]
    peak_mb = watch(sleeps, os.environ, tmp_path, tmp_path / "log").peak_rss_mb
    assert len(held) / 2**20 > peak_mb >= 60


def test_a_ratio_far_beyond_the_accepted_one_is_told() -> None:
    before = {"a / b": 2.0, "c / d": 1.0}
    assert baseline.exceeded({"a / b": 2.0 * baseline.MARGIN, "new": 99.0}, before) == []
    [told] = baseline.exceeded({"a / b": 2.01 * baseline.MARGIN, "c / d": 1.0}, before)
    assert told.startswith("a / b is 3.22; 2.00 was accepted")


def test_the_page_has_every_part_and_names_neither_machine_nor_path(tmp_path: Path) -> None:
    assert re.findall(r"(?:^|[\s`(])/[a-z]+/|\.local\b|tmp", PAGE) == []
    assert "Python 3." in PAGE
    assert PAGE.count("Measured on 20") >= len(PARTS)
    page = tmp_path / "page.md"
    write_page(Table("Ratios", ["a", "b"], [["c", "1"]]), {"part": ("2026-11-21", [Table("T", ["x"], [["y"]])])}, page)
    assert machine() in page.read_text()


@pytest.mark.parametrize("name", PARTS)
def test_every_part_is_explained(name: str) -> None:
    assert f"| `{name}` |" in (ROOT / "benchmarks" / "README.md").read_text()
