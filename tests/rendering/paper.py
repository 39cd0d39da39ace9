"""What has to hold of the sample `500-lines`, and of an appendix over many jobs, whoever lays out their pages."""

from __future__ import annotations

import re
from typing import IO

from pypdf import PdfReader


def pages(pdf: str | IO[bytes]) -> list[str]:
    """The text one can select, page by page."""
    return [page.extract_text().replace("\xa0", " ") for page in PdfReader(pdf).pages]


def assert_whole(texts: list[str]) -> None:
    """Every line once and in order, each page with its number and head, the totals together."""
    assert len(texts) > 10
    for number, text in enumerate(texts, 1):
        assert f"Page {number} of {len(texts)}" in text
        assert "INV-2026-00008" in text
        assert ("Amount" in text) == ("model-" in text)
    lines = [tuple(map(int, each)) for each in re.findall(r"^(\d+) model-(\d+) \d+,\d\d €$", "\n".join(texts), re.M)]
    assert lines == [(number, number) for number in range(1, 501)]
    totals = [[part in text for part in ("VAT 19%", "VAT 0% on", "Total EUR")] for text in texts]
    assert sum(map(any, totals)) == sum(map(all, totals)) == 1, "the totals are torn apart"


def assert_jobs_whole(texts: list[str], number_of_jobs: int) -> None:
    """The appendix begins a page after the totals; every job once and in order, whole, each page with its head."""
    first = next(number for number, text in enumerate(texts) if "Appendix" in text)
    assert "Total EUR" in texts[first - 1]
    assert "Total EUR" not in texts[first]
    jobs = []
    for number, text in enumerate(texts[first:], first + 1):
        assert f"Page {number} of {len(texts)}" in text
        assert "INV-2026-00008" in text
        assert ("Quantity" in text) == ("Opening" in text)
        row = r"Opening (\d+) of the season\s+J-(\d+)\s+(\d+) CVs?, 0,5 minutes\s+\d+,\d\d €"
        jobs += [tuple(map(int, each)) for each in re.findall(row, text)]
    assert jobs == [(number, number, number) for number in range(1, number_of_jobs + 1)]
    assert "Usage, line 1" in texts[-1]
