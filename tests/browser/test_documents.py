"""Documents as people see them: at a desk, on a phone, in the dark, on paper."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest

from browser.browser import Chromium
from browser.conftest import MayBeSent
from rendering.paper import assert_jobs_whole, assert_whole, pages
from rendering.samples import SAMPLES, with_jobs
from tokenboard_etl.rendering.invoices import render_invoice


@pytest.mark.parametrize("name", SAMPLES)
def test_documents_may_be_sent(name: str, tmp_path: Path, may_be_sent: MayBeSent) -> None:
    page = tmp_path / "document.html"
    page.write_bytes(render_invoice(SAMPLES[name]).html)
    may_be_sent(page, name)


def test_long_ones_print_whole(tmp_path: Path, chromium: Chromium) -> None:
    page = tmp_path / "document.html"
    page.write_bytes(render_invoice(SAMPLES["500-lines"]).html)
    assert_whole(pages(BytesIO(chromium.printed(page))))
    page.write_bytes(render_invoice(with_jobs(500)).html)
    assert_jobs_whole(pages(BytesIO(chromium.printed(page))), 500)
