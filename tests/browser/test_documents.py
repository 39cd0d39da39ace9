"""Documents as people see them: at a desk, on a phone, in the dark, on paper."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest

from browser.browser import Chromium
from browser.conftest import MayBeSent
from rendering.paper import assert_whole, pages
from rendering.samples import SAMPLES
from tokenboard_etl.rendering.invoices import render_invoice


@pytest.mark.parametrize("name", SAMPLES)
def test_documents_may_be_sent(name: str, tmp_path: Path, may_be_sent: MayBeSent) -> None:
    page = tmp_path / "document.html"
    page.write_bytes(render_invoice(SAMPLES[name]).html)
    may_be_sent(page, name)


def test_a_long_one_prints_whole(tmp_path: Path, chromium: Chromium) -> None:
    page = tmp_path / "document.html"
    page.write_bytes(render_invoice(SAMPLES["500-lines"]).html)
    assert_whole(pages(BytesIO(chromium.printed(page))))
