"""The nightly pages of a world with a past, as tenants, finance and operators see them."""

from __future__ import annotations

from pathlib import Path

import pytest

from browser.conftest import MayBeSent

pytestmark = pytest.mark.slow

PAGES = {
    "statement": "2026-06/northwind-analytics/statement.html",
    "statement-closed": "2026-05/northwind-analytics/statement.html",
    "statement-formula": "2026-06/1-1-formula-labs/statement.html",
    "statement-hostile": "2026-06/kiwi-co-script-alert-x-script/statement.html",
    "statement-sql": "2026-06/o-brien-drop-table-charges/statement.html",
    "register": "2026-05/register.html",
    "reconciliation": "2026-05/reconciliation.html",
    "overview": "overview.html",
    "index": "index.html",
}


@pytest.mark.parametrize("name", PAGES)
def test_reports_may_be_sent(name: str, world_home: Path, may_be_sent: MayBeSent) -> None:
    may_be_sent(world_home / "reports" / PAGES[name], name)
