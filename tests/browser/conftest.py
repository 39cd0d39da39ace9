"""One browser for all pages of a worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from browser.browser import Chromium, running_chromium, why_not
from reading.conftest import world_home

__all__ = ["world_home"]

MayBeSent = Callable[[Path, str], None]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    if missing := why_not():
        pytest.skip(missing)
    with running_chromium() as browser:
        yield browser


@pytest.fixture
def may_be_sent(chromium: Chromium) -> MayBeSent:
    """Asserts of an HTML file that it is fit to be sent out; its pictures are kept under the name given with it.

    In a new test of a page this is the one line: `may_be_sent(path, "statement")`.
    """

    def looked_at(page: Path, name: str) -> None:
        assert chromium.complaints(page, pictures=name) == []

    return looked_at
