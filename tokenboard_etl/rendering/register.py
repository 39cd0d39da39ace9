"""The finance register as a page, and as a CSV file beside it for spreadsheets."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import astuple, fields
from datetime import date
from decimal import Decimal

from tokenboard_etl.money import from_minor
from tokenboard_etl.reading.register_figures import Entry, Issued, Register, Usage
from tokenboard_etl.rendering.pages import render_page

TEMPLATE = "register/v1.html"

_FORMULA = re.compile(r"""(^|[;,|\t\r\n])(?=["\s]*[=+\-@\uff1d\uff0b\uff0d\uff20])""")
"""Where a spreadsheet may take what follows for a formula: in a cell, or in what it takes for one, because it separates
cells by something else than commas. East Asian ones know the wide signs, too.
"""

COLUMNS = (
    *("month", "tenant_id", "tenant_name", "state"),
    *("invoice_number", "kind", "status", "currency", "net", "tax", "total", "credited"),
    *("issued_on", "due_on", "corrects"),
    *("cost_usd", "billed_usd", "margin_usd", "margin_percent", "estimated_billed_usd", "to_correct_usd"),
)


def render_register(register: Register) -> bytes:
    """The page; the same figures give the same bytes."""
    return render_page(
        TEMPLATE,
        register=register,
        any_credited=any(entry.document and entry.document.credited_minor for entry in register.entries),
        any_due=any(entry.usage and entry.usage.due_usd for entry in register.entries),
    )


def register_csv(register: Register) -> bytes:
    """The entries with exact amounts, documents in units of their currency; text cells can be no formula.

    UTF-8 with the mark that spreadsheets know it by.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for entry in register.entries:
        writer.writerow(map(_cell, _row(register, entry)))
    return text.getvalue().encode("utf-8-sig")


def _row(register: Register, entry: Entry) -> tuple[object, ...]:
    head = (str(register.month), entry.tenant_id, entry.name, entry.state)
    return (*head, *_document(entry.document), *_usage(entry.usage))


def _document(document: Issued | None) -> tuple[object, ...]:
    if document is None:
        return (None,) * len(fields(Issued))
    minor = (document.net_minor, document.tax_minor, document.total_minor, document.credited_minor)
    return (
        document.invoice_number,
        document.kind,
        document.status,
        document.currency,
        *(from_minor(each, document.currency) for each in minor),
        document.issued_on,
        document.due_on,
        document.corrects,
    )


def _usage(usage: Usage | None) -> tuple[object, ...]:
    return (None,) * len(fields(Usage)) if usage is None else astuple(usage)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return format(value, "f")
    text = value.isoformat() if isinstance(value, date) else str(value)
    return _FORMULA.sub(r"\1'", text)
