"""The PDF of a document: every line of it, as text, on numbered pages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pypdf import PdfReader

from rendering.paper import assert_jobs_whole, assert_whole, pages
from rendering.samples import SAMPLES, with_jobs
from tokenboard_etl.errors import CheckFailed
from tokenboard_etl.rendering.invoices import render_invoice
from tokenboard_etl.rendering.pdf import write_pdf


def pango_is_there() -> bool:
    try:
        import weasyprint  # noqa: F401 - whether it finds its libraries is what is asked
    except OSError:
        return False
    return True


needs_pango = pytest.mark.skipif(not pango_is_there(), reason="Pango is not installed: see the README's weasyprint")


def document(folder: Path, name: str) -> Path:
    path = folder / f"{name}.html"
    path.write_bytes(render_invoice(SAMPLES[name]).html)
    return path


@needs_pango
def test_500_lines_are_text_on_numbered_pages_each_with_its_head(tmp_path: Path) -> None:
    assert_whole(pages(str(write_pdf(document(tmp_path, "500-lines")))))


@needs_pango
def test_an_appendix_begins_a_page_of_its_own_and_no_row_is_torn(tmp_path: Path) -> None:
    path = tmp_path / "jobs.html"
    path.write_bytes(render_invoice(with_jobs(70)).html)
    assert_jobs_whole(pages(str(write_pdf(path))), 70)


@needs_pango
@pytest.mark.parametrize(
    ("name", "count"), [("simple", 1), ("full", 2), ("appendix", 3), ("credit-note", 1), ("empty", 1)]
)
def test_a_document_takes_no_more_pages_than_it_needs(name: str, count: int, tmp_path: Path) -> None:
    assert len(pages(str(write_pdf(document(tmp_path, name))))) == count


@needs_pango
def test_it_lies_beside_the_html_and_has_the_same_bytes_again(tmp_path: Path) -> None:
    page = document(tmp_path, "full")
    pdf = write_pdf(page)
    first = pdf.read_bytes()
    assert pdf == tmp_path / "full.pdf"
    assert write_pdf(page).read_bytes() == first
    assert PdfReader(pdf).trailer["/Root"]["/MarkInfo"]["/Marked"]


@needs_pango
def test_nothing_is_fetched_for_it(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    (tmp_path / "other.css").write_text("p { color: red }")
    page.write_text(f"<title>x</title><link rel=stylesheet href='{(tmp_path / 'other.css').as_uri()}'><p>x")
    with pytest.raises(CheckFailed, match=r"other\.css"):
        write_pdf(page)
    assert not (tmp_path / "page.pdf").exists()


WITHOUT = """
import sys
sys.modules["weasyprint"] = None
from pathlib import Path
from tokenboard_etl.errors import ConfigurationError
from tokenboard_etl.rendering.pdf import write_pdf
try:
    write_pdf(Path("full.html"))
except ConfigurationError as error:
    print(error)
"""


def test_without_weasyprint_it_says_what_to_install(tmp_path: Path) -> None:
    document(tmp_path, "full")
    said = subprocess.run(
        [sys.executable, "-c", WITHOUT], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert "pip install 'tokenboard-etl[pdf]'" in said
    assert "libpango-1.0-0" in said
    assert list(tmp_path.glob("*.pdf")) == []
