"""A large organization in one night, as a whole process: exact, and not larger with every page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.nightly import run_night
from benchmarks.world import Size


@pytest.mark.slow
def test_memory_does_not_follow_the_number_of_pages(tmp_path: Path) -> None:
    peaks, pages = {}, {}
    for days in (12, 48):
        folder = tmp_path / str(days)
        folder.mkdir()
        night = run_night(Size(projects=400, line_items=25, days=days, first_day="2026-03-01"), folder)
        assert night.exact
        (manifest,) = (folder / "home" / "landing" / "openai" / "costs").glob("*/manifest.json")
        peaks[days], pages[days] = night.peak_rss_mb, len(json.loads(manifest.read_text())["pages"])
    assert pages[48] >= 3 * pages[12] >= 6
    assert peaks[48] < 1.75 * peaks[12], (peaks, pages)
