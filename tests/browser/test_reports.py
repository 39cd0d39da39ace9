"""Statement, register, reconciliation, overview and index as people see them: at a desk, on a phone, on paper."""

from __future__ import annotations

from pathlib import Path

import pytest

from browser.browser import LOOKS, Chromium, Look
from reading.conftest import CLOSED, RUNNING, world_home

__all__ = ["world_home"]  # the reading tests' past: these pages are about it

pytestmark = pytest.mark.slow

ON_PAPER = dict.fromkeys(("register", "reconciliation"), Look("print", 1020, 680, media="print"))
"""Pages that ask for a sheet other than upright A4."""


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("statement-closed", f"{CLOSED}/northwind-analytics/statement.html"),
        ("statement-running", f"{RUNNING}/acme-b-robotics-b/statement.html"),
        ("statement-hostile", f"{RUNNING}/kiwi-co-script-alert-x-script/statement.html"),
        ("register", f"{CLOSED}/register.html"),
        ("reconciliation", f"{CLOSED}/reconciliation.html"),
        ("overview", "overview.html"),
        ("index", "index.html"),
    ],
)
def test_reports_may_be_shown(chromium: Chromium, world_home: Path, name: str, path: str) -> None:
    looks = [ON_PAPER.get(name, look) if look.name == "print" else look for look in LOOKS]
    assert chromium.complaints(world_home / "reports" / path, looks, pictures=name) == []
