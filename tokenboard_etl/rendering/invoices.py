"""Renders an invoice value with the current template version, and writes the files of a month."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from tokenboard_etl.billing.invoice import (
    ADJUSTMENT,
    CREDIT,
    CREDIT_NOTE,
    FEE,
    MINIMUM,
    PROVIDER_NAMES,
    USAGE,
    Invoice,
    Line,
    Rendered,
)
from tokenboard_etl.errors import CheckFailed
from tokenboard_etl.files import write_atomically
from tokenboard_etl.rendering.environment import environment, template_checksum

TEMPLATE = "invoice/v1.html"


@dataclass(frozen=True)
class Group:
    """Lines that stand together on paper under one heading."""

    heading: str
    name: str
    lines: tuple[Line, ...]

    @property
    def is_usage(self) -> bool:
        """Whether its lines have quantities."""
        return self.lines[0].kind == USAGE

    @property
    def subtotal_minor(self) -> int:
        return sum(line.amount_minor for line in self.lines)


HEADINGS = {
    FEE: "Fees and commitments",
    MINIMUM: "Fees and commitments",
    ADJUSTMENT: "Corrections of earlier months",
    CREDIT: "Credits",
    CREDIT_NOTE: "Credited lines",
}


def render_invoice(invoice: Invoice, template: str = TEMPLATE) -> Rendered:
    """The document as UTF-8 HTML: no script, no external resource. `template` is the one it was issued with."""
    groups = [Group(heading, name, tuple(lines)) for (heading, _, name), lines in groupby(invoice.lines, key=_place)]
    html = environment().get_template(template).render(invoice=invoice, groups=groups)
    return Rendered(html.encode(), template, template_checksum(template))


def _place(line: Line) -> tuple[str, str, str]:
    """Heading, what tells the group from others, and the name beside the heading."""
    if line.kind == USAGE:
        return PROVIDER_NAMES[line.provider], line.account_id, line.account_name
    return HEADINGS[line.kind], "", ""


def document_path(reports: Path, month: str, tenant_id: str, number: str) -> Path:
    """reports/<month>/<tenant_id>/<number>.html; all parts are made of safe characters."""
    return reports / month / tenant_id / f"{number}.html"


def write_invoice(reports: Path, invoice: Invoice, issued_sha256: str, template: str = TEMPLATE) -> Path:
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
