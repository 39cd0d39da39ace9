"""The document: a golden file per template version, and names that stay inert."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tokenboard_etl.billing.invoice import Buyer, Invoice, Line
from tokenboard_etl.errors import CheckFailed
from tokenboard_etl.periods import Month
from tokenboard_etl.rendering.invoices import TEMPLATE, render_invoice, write_invoice

GOLDEN = Path(__file__).parent / "golden"
HOSTILE = "<script>alert('x')</script>\"' onload=1 {{ 7*7 }} =1+1"


def line(number: int, provider: str, account: str, item: str, minor: int, quantity: str | None = None) -> Line:
    return Line(
        number,
        "usage",
        f"{provider} · {account} · {item}",
        provider,
        f"id-{account}",
        account,
        item,
        "default",
        Decimal(quantity) if quantity else None,
        "1000_tokens" if quantity else None,
        Decimal(minor).scaleb(-2),
        minor,
        "2026-05",
    )


INVOICE = Invoice(
    "INV-2026-00007",
    Buyer("acme", "Acme & Söhne", "DE", "rechnung@acme.example"),
    Month(2026, 5),
    "USD",
    datetime(2026, 6, 5, 2, 0, tzinfo=UTC),
    (
        line(1, "openai", "Acme", "gpt-6-sol, input", 123456, "918625"),
        line(2, "openai", "Acme", "web search tool calls", 7),
        line(3, "openrouter", "team-atlas", "openai/gpt-6-sol", -50, "0.5"),
    ),
)


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


def test_the_document_is_the_golden_one_of_its_template_version() -> None:
    """A template that changes what issued invoices look like needs a new version and a new golden file."""
    golden = GOLDEN / TEMPLATE.replace("/", "_")
    assert render_invoice(INVOICE).html == golden.read_bytes()


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
    hostile = replace(
        INVOICE, buyer=Buyer("x", HOSTILE, None, HOSTILE), lines=(line(1, "openai", HOSTILE, HOSTILE, 100),)
    )
    document = parsed(render_invoice(hostile).html)
    assert document.text.count(HOSTILE) == 4
    assert "script" not in {tag for tag, _ in document.tags}


def test_nothing_is_loaded_from_anywhere_and_nothing_runs() -> None:
    for tag, attributes in parsed(render_invoice(INVOICE).html).tags:
        assert tag not in ("script", "link", "img", "iframe", "object", "embed")
        assert not any(name.startswith("on") or name in ("src", "href") for name in attributes)


def test_cost_and_margin_do_not_show() -> None:
    text = render_invoice(INVOICE).html.decode().lower()
    assert "margin_" not in text
    assert "cost" not in text


@pytest.mark.parametrize(("currency", "shown"), [("JPY", "¥123,456"), ("KWD", "KWD123.456"), ("EUR", "€1,234.56")])
def test_currencies_have_their_own_number_of_digits(currency: str, shown: str) -> None:
    text = parsed(render_invoice(replace(INVOICE, currency=currency)).html).text
    assert shown in text.replace("\xa0", "")


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
