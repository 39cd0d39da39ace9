"""A large organization in one night, as a whole process: exact, and not larger with every page."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from benchmarks import comparison
from benchmarks.home import prepare_home
from benchmarks.serving import served_world
from benchmarks.systems import FLOOR, NIGHTLY, compare, run_night
from benchmarks.world import Size


@pytest.mark.endurance
def test_memory_does_not_follow_the_number_of_pages(tmp_path: Path) -> None:
    peaks, pages = {}, {}
    for days in (12, 48):
        folder = tmp_path / str(days)
        size = Size(projects=400, line_items=25, days=days, first_day="2026-03-01")
        with served_world([size], folder / "world") as world:
            prepare_home(world, folder / "prepared")
            night = run_night(world, folder / "prepared", folder / "home")
        assert night.exact
        (manifest,) = (folder / "home" / "landing" / "openai" / "costs").glob("*/manifest.json")
        peaks[days], pages[days] = night.peak_rss_mb, len(json.loads(manifest.read_text())["pages"])
    assert pages[48] >= 3 * pages[12] >= 6
    assert peaks[48] < 1.5 * peaks[12], (peaks, pages)


@pytest.mark.slow
def test_two_organizations_in_one_home_are_each_exact_and_so_is_the_floor(tmp_path: Path) -> None:
    sizes = [Size(projects=40, line_items=10, days=5, organization=number) for number in range(2)]
    with served_world(sizes, tmp_path / "world") as world:
        measured = list(compare(world, tmp_path, 1, [FLOOR, NIGHTLY]))
    assert [(each.what, each.exact) for each in measured] == [("floor", True), ("nightly", True)]
    night = measured[-1]
    assert set(night.stages) == {"start", "land", "load", "model", "check", "publish", "report", "dagster"}
    assert sum(stage.wall_s for stage in night.stages.values()) == pytest.approx(night.wall_s, abs=0.01)
    result = {"tiny": {"tenants": 80, "rows": world.rows, "runs": [asdict(each) for each in measured]}}
    assert comparison.exact(result)
    assert comparison.ratios(result)["tiny: nightly without Dagster / floor, wall"] > 1
    assert all(len(row) == len(table.columns) for table in comparison.tables(result) for row in table.rows)
