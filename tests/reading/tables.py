"""What a page says, read as a browser would: its text, its tables row by row, its links."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path


@dataclass
class Said(HTMLParser):
    """`tables` by the heading (h2) before them; a cell is its text with single blanks."""

    tables: dict[str, list[list[str]]] = field(default_factory=dict)
    links: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    attributes: list[tuple[str, str | None]] = field(default_factory=list)
    text: str = ""
    heading: str = ""

    def __post_init__(self) -> None:
        super().__init__()
        self._into = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        if tag == "h2":
            self.heading, self._into = "", "heading"
        elif tag == "tr":
            self.tables.setdefault(self.heading, []).append([])
        elif tag in ("td", "th"):
            self.tables[self.heading][-1].append("")
            self._into = "cell"
        elif tag == "style":
            self._into = "style"

    def handle_endtag(self, tag: str) -> None:
        if tag in ("h2", "td", "th", "style"):
            self._into = ""
        if tag in ("td", "th"):
            cells = self.tables[self.heading][-1]
            cells[-1] = " ".join(cells[-1].split())

    def handle_data(self, data: str) -> None:
        if self._into == "style":
            return
        self.text += data
        if self._into == "heading":
            self.heading += data
        elif self._into == "cell":
            self.tables[self.heading][-1][-1] += data


def said_by(path: Path) -> Said:
    return read(path.read_text())


def read(html: str) -> Said:
    found = Said()
    found.feed(html)
    found.close()
    return found


def cents(text: str) -> Decimal:
    """$1,234.56 as a number."""
    return Decimal(text.replace("$", "").replace(",", ""))


def column(table: list[list[str]], heading: str) -> list[str]:
    """The cells below a heading."""
    place = table[0].index(heading)
    return [row[place] for row in table[1:]]
