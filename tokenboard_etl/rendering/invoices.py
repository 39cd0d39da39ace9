"""Renders an invoice value with the current template version, and writes the files of a month."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path

from tokenboard_etl.billing.invoice import (
    ADJUSTMENT,
    CREDIT,
    CREDIT_NOTE,
    FEE,
    INVOICE,
    MINIMUM,
    PROVIDER_NAMES,
    USAGE,
    Invoice,
    Line,
    Rendered,
)
from tokenboard_etl.errors import CheckFailed
from tokenboard_etl.files import write_atomically
from tokenboard_etl.rendering.environment import environment, locale_of, template_checksum

TEMPLATES = {INVOICE: "invoice/v2.html", CREDIT_NOTE: "credit_note/v1.html"}
"""The current version by kind of document. A document keeps the one it was issued with."""

HEADINGS = {
    FEE: "Fees and commitments",
    MINIMUM: "Fees and commitments",
    ADJUSTMENT: "Corrections of earlier months",
    CREDIT: "Credits",
    CREDIT_NOTE: "Credited lines",
}


@dataclass(frozen=True)
class Account:
    """Lines of one account under its name; other lines stand under no name."""

    name: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Section:
    """Accounts that stand together on paper under one heading."""

    heading: str
    accounts: tuple[Account, ...]

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        return tuple(line for account in self.accounts for line in account.lines)

    @property
    def is_usage(self) -> bool:
        return self.lines[0].kind == USAGE

    @cached_property
    def has_quantities(self) -> bool:
        return any(line.quantity is not None for line in self.lines)

    @property
    def amount_minor(self) -> int:
        return sum(line.amount_minor for line in self.lines)


def render_invoice(invoice: Invoice, template: str | None = None) -> Rendered:
    """The document as UTF-8 HTML: no script, no external resource. `template` is the one it was issued with."""
    template = template or TEMPLATES[invoice.kind]
    locale = locale_of(invoice.buyer.country)
    html = environment().get_template(template).render(invoice=invoice, sections=_sections(invoice), locale=locale)
    return Rendered(html.encode(), template, template_checksum(template))


def _sections(invoice: Invoice) -> list[Section]:
    return [Section(heading, _accounts(lines)) for heading, lines in groupby(invoice.lines, key=_heading)]


def _heading(line: Line) -> str:
    return PROVIDER_NAMES[line.provider] if line.kind == USAGE else HEADINGS[line.kind]


def _accounts(lines: Iterable[Line]) -> tuple[Account, ...]:
    return tuple(Account(name, tuple(theirs)) for (_, name), theirs in groupby(lines, key=_account))


def _account(line: Line) -> tuple[str, str]:
    return (line.account_id, line.account_name) if line.kind == USAGE else ("", "")


def document_path(reports: Path, month: str, tenant_id: str, number: str) -> Path:
    """reports/<month>/<tenant_id>/<number>.html; all parts are made of safe characters."""
    return reports / month / tenant_id / f"{number}.html"


def write_invoice(reports: Path, invoice: Invoice, issued_sha256: str, template: str | None = None) -> Path:
    """Puts the document as it was issued in place, unless it is there; returns its path.

    Raises CheckFailed rather than writing anything else under an issued number.
    """
    path = document_path(reports, str(invoice.month), invoice.buyer.tenant_id, invoice.number)
    if path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == issued_sha256:
        return path
    rendered = render_invoice(invoice, template)
    if rendered.sha256 != issued_sha256:
        raise CheckFailed(
            f"{invoice.number} cannot be rendered as it was issued: its template or a library has changed since. "
            f"Restore {path} from a backup; nothing else is written under that number."
        )
    write_atomically(path, rendered.html)
    return path
