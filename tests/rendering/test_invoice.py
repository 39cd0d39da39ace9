"""What a document says, and that names in it stay inert."""

from __future__ import annotations

import re
import sys
import unicodedata
from dataclasses import replace
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from rendering.samples import APPENDIX, CREDIT_NOTE, FULL, HOSTILE, HOSTILE_NAMES, SAMPLES, usage, with_jobs
from rendering.samples import SIMPLE as INVOICE
from tokenboard_etl.billing.invoice import Buyer, Invoice
from tokenboard_etl.billing.records import rows_checksum
from tokenboard_etl.errors import CheckFailed
from tokenboard_etl.rendering.environment import environment
from tokenboard_etl.rendering.invoices import render_invoice, write_invoice


class Text(HTMLParser):
    """Collects tags and the text between them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(html: bytes) -> Text:
    reader = Text()
    reader.feed(html.decode())
    return reader


def test_the_same_invoice_gives_the_same_bytes() -> None:
    assert render_invoice(INVOICE).sha256 == render_invoice(replace(INVOICE)).sha256


def test_amounts_quantities_and_totals_are_printed_as_people_write_them() -> None:
    text = parsed(render_invoice(INVOICE).html).text
    for expected in (
        "$1,234.56",
        "$0.07",
        "-$0.50",
        "918,625",
        "1000 tokens",
        "Total USD",
        "$1,234.13",
        "May 31, 2026",
    ):
        assert expected in text, expected


def test_names_are_inert() -> None:
    document = parsed(render_invoice(HOSTILE_NAMES).html)
    assert document.text.count(HOSTILE) == 12
    assert "script" not in {tag for tag, _ in document.tags}


def test_what_cannot_be_seen_or_turns_the_text_around_is_shown_as_such() -> None:
    html = render_invoice(SAMPLES["control-characters"]).html.decode()
    assert html.count("a\ufffdb\ufffdc\ufffd[31md\ufffd2Je\ufffdgpj.exe\ufffd\nf\ufffdg") == 3
    assert not {*"\x00\x07\x1b\x9b\u202e\u061c\r"} & {*html}


def test_every_character_is_printed_but_controls_and_what_turns_text_around() -> None:
    """Line ends and tabs may be in an address."""
    characters = [chr(point) for point in range(sys.maxunicode + 1) if unicodedata.category(chr(point)) != "Cs"]
    turning = {"LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"}
    expected = [
        "\ufffd"
        if (unicodedata.category(each) == "Cc" and each not in "\t\n")
        or unicodedata.bidirectional(each) in turning
        or each in "\u061c\u200e\u200f"
        else escape(each, quote=True)
        for each in characters
    ]
    template = environment().from_string("{% for each in characters %}{{ each }}{% endfor %}")
    printed = template.render(characters=characters).replace("&#39;", "&#x27;").replace("&#34;", "&quot;")
    assert printed == "".join(expected)


@pytest.mark.parametrize("name", SAMPLES)
def test_nothing_is_loaded_from_anywhere_and_nothing_runs(name: str) -> None:
    html = render_invoice(SAMPLES[name]).html
    assert not re.search(rb"url\s*\(|@import", html)
    for tag, attributes in parsed(html).tags:
        assert tag not in ("script", "link", "img", "iframe", "object", "embed")
        assert not any(name.startswith("on") or name in ("src", "href") for name in attributes)


def test_cost_and_margin_do_not_show() -> None:
    text = render_invoice(INVOICE).html.decode().lower()
    assert "margin_" not in text
    assert "cost" not in text


@pytest.mark.parametrize(
    ("currency", "country", "shown"),
    [
        ("JPY", "US", "¥123,456"),
        ("KWD", "US", "KWD123.456"),
        ("EUR", "US", "€1,234.56"),
        ("EUR", "DE", "1.234,56€"),
        ("CHF", "CH", "CHF1\u2019234.56"),
        ("USD", "JP", "US$1,234.56"),  # no English of its own, so the world's
        ("USD", None, "$1,234.56"),
    ],
)
def test_currencies_have_their_digits_and_countries_their_separators(
    currency: str, country: str | None, shown: str
) -> None:
    buyer = Buyer("acme", "Acme", country, None)
    text = parsed(render_invoice(replace(INVOICE, currency=currency, buyer=buyer)).html).text
    assert shown in text.replace("\xa0", "")


def test_every_block_a_document_may_have_is_printed() -> None:
    text = " ".join(parsed(render_invoice(FULL).html).text.split())
    for expected in (
        "Invoice INV-2026-00008",
        "3.399,79 € due 5 July 2026",
        "Am Leuchtturm 7 20457 Hamburg Germany Tax ID DE123456789",
        "Date of issue 5 June 2026",
        "Period (UTC) 1 May 2026 to 31 May 2026",
        "918.625 \xd7 1000 tokens",
        "120.400,25 \xd7 1000 tokens",
        "Subtotal OpenAI 2.221,63 €",
        "Corrects INV-2026-00003, line 4 -3,12 €",
        "Welcome credit -100,00 €",
        "VAT 19% on 2.646,88 € 502,91 €",
        "VAT 0% on 250,00 € 0,00 €",
        "VAT 0%: Reverse charge: the customer owes the tax.",
        "converted at 0,92 EUR for one US dollar",
        "naming the invoice's number.",
        "accepted by Jo Finance: the provider confirmed the figures by mail",
    ):
        assert expected in text, expected
    assert "a day was provisional" not in text


def test_a_credit_note_says_what_it_takes_back() -> None:
    text = " ".join(parsed(render_invoice(CREDIT_NOTE).html).text.split())
    for expected in (
        "Credit note CN-2026-00002",
        "1.766,63 € in your favour",
        "Credited to Acme",
        "Corrects INV-2026-00008",
        "Reason: The customer was on another plan.",
        "From INV-2026-00008, line 5 -250,00 €",
        "Total EUR -1.766,63 €",
    ):
        assert expected in text, expected
    assert "Due date" not in text


def test_an_appendix_says_which_lines_it_explains_and_adds_up_to_them() -> None:
    text = " ".join(parsed(render_invoice(APPENDIX).html).text.replace("\xa0", " ").split())
    for expected in (
        "Appendix: what the usage was for Lines 1 to 4 of this invoice, the usage of the period, come to 2.672,13 €",
        "Category Amount cv-parsing 1.501,20 €",
        "In no category 10,00 € Usage, lines 1 to 4 2.672,13 €",
        "Senior backend engineer (Rust) J-2041 1.284 CVs, 640 questions 1.200,50 €",
        "310 CVs, 1 question, 1.822,25 minutes",
        "careers/warehouse-assistant 1 CV 0,00 €",
        "Operations that belong to no job 12 CVs, 85 questions 120,52 €",
        "Usage that no operation explains 69,00 € Usage, lines 1 to 4 2.672,13 €",
        "reported by 5 June 2026, failed operations included.",
    ):
        assert expected in text, expected
    assert "cost" not in text.lower()
    only_categories = replace(APPENDIX, lines=APPENDIX.lines[:1], appendix=APPENDIX.appendix[:2])
    text = parsed(render_invoice(only_categories).html).text
    assert "Line 1 of this invoice, the usage of the period, comes to" in text
    assert "By job" not in text
    assert "Quantities" not in text


def test_what_has_no_appendix_says_nothing_of_one_and_the_version_before_never_does() -> None:
    for html in (
        render_invoice(FULL).html,
        render_invoice(replace(CREDIT_NOTE, appendix=APPENDIX.appendix)).html,
        render_invoice(APPENDIX, "invoice/v1.html").html,
    ):
        assert b"Appendix" not in html
    assert render_invoice(APPENDIX, "invoice/v1.html").html == render_invoice(FULL, "invoice/v1.html").html


@pytest.mark.parametrize(("jobs", "said"), [(501, "1 smaller job,"), (2000, "1500 smaller jobs,")])
def test_of_very_many_jobs_the_smallest_share_a_row_that_says_so(jobs: int, said: str) -> None:
    invoice = with_jobs(jobs)
    html = render_invoice(invoice).html.decode().replace("\xa0", " ")
    rows = re.findall(r"<tr[^>]*><th scope=\"row\"[^>]*>(.*?)</tr>", html.split("By job")[1])
    assert len(rows) == 500 + 2
    assert "Opening 500 of" in rows[499]
    left = sum(row.amount_minor for row in invoice.appendix[500:])
    digits = f"{left / 100:,.2f}".translate(str.maketrans(",.", ".,"))
    assert rows[500] == (f'{said} one by one in the export of this invoice</th> <td class="n sum">{digits} €</td>')


def test_without_an_appendix_a_document_has_the_checksum_it_had_before_there_were_any() -> None:
    """As the version before them computed it."""
    assert rows_checksum(FULL) == "559499560db9e574e4cc654b1a8ea989252e8d8bab0cac0c2b05a94ccc5b58a8"
    assert rows_checksum(CREDIT_NOTE) == "84bed6809ded8020bb3e4c1b5f4c9c2fd1b1e72a588bc273d14988e260cc41d7"
    first, *others = APPENDIX.appendix
    for altered in ((), tuple(others), (replace(first, title="x"), *others)):
        assert rows_checksum(replace(APPENDIX, appendix=altered)) != rows_checksum(APPENDIX)


def test_quantities_keep_every_digit_that_tells_something() -> None:
    line = usage(1, "openai", "Acme", "gpt", 1, "12345678901234567890.000000000000000001")
    text = parsed(render_invoice(replace(INVOICE, lines=(line,))).html).text
    assert "12,345,678,901,234,567,890.000000000000000001" in text
    line = usage(1, "openai", "Acme", "gpt", 1, "1000.000000000000000000")
    assert "1,000 \xd7 1000 tokens" in parsed(render_invoice(replace(INVOICE, lines=(line,))).html).text


def test_a_document_without_lines_says_so() -> None:
    document: Invoice = SAMPLES["empty"]
    text = parsed(render_invoice(document).html).text
    assert "Nothing was charged for this period." in text
    assert text.count("0,00\xa0€") == 4


def test_writing_twice_leaves_the_file_alone_and_damage_is_mended(tmp_path: Path) -> None:
    issued_as = render_invoice(INVOICE).sha256
    path = write_invoice(tmp_path, INVOICE, issued_as)
    assert path == tmp_path / "2026-05" / "acme" / "INV-2026-00007.html"
    first = path.stat()
    write_invoice(tmp_path, INVOICE, issued_as)
    assert path.stat().st_ino == first.st_ino
    path.write_text("gone")
    write_invoice(tmp_path, INVOICE, issued_as)
    assert path.read_bytes() == render_invoice(INVOICE).html


def test_nothing_but_the_document_as_issued_is_written_under_its_number(tmp_path: Path) -> None:
    with pytest.raises(CheckFailed, match="INV-2026-00007 cannot be rendered as it was issued"):
        write_invoice(tmp_path, INVOICE, "0" * 64)
    assert list(tmp_path.rglob("*.html")) == []
