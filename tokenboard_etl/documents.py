"""Issued documents: their files in place, rows and files as they were issued."""

from __future__ import annotations

import hashlib
from pathlib import Path

import duckdb

from tokenboard_etl.billing.invoice import Invoice
from tokenboard_etl.billing.issued import altered_rows, invoices_of, issued_as, issued_document
from tokenboard_etl.periods import Month
from tokenboard_etl.rendering.invoices import document_path, write_invoice


def write_documents(
    connection: duckdb.DuckDBPyConnection, reports: Path, month: Month
) -> tuple[list[Invoice], list[Path]]:
    """Puts every document of a month in place that is not there; returns them and their files."""
    documents, noted = invoices_of(connection, month), issued_as(connection, month)
    return documents, [write_invoice(reports, each, *noted[each.number]) for each in documents]


def told_altered(number: str) -> str:
    """The sentence for a document that billing.issued.altered_rows found."""
    return (
        f"the stored rows of {number} are not what was issued (billing.documents, billing.invoice_lines, "
        "billing.invoice_taxes, billing.credit_uses or billing.invoice_appendix); restore them from a backup"
    )


def altered_documents(connection: duckdb.DuckDBPyConnection, reports: Path) -> list[str]:
    """Rows and files that are not what was issued, readable. A file that is missing is written again first.

    Raises CheckFailed where a missing one cannot be rendered as it was issued.
    """
    altered = list(altered_rows(connection))
    found = [told_altered(number) for number in altered]
    rows = connection.execute(
        """
        SELECT invoice_number, tenant_id, month, sha256, template
        FROM billing.documents ORDER BY series, series_number
        """
    ).fetchall()
    for number, tenant_id, month, sha256, template in rows:
        path = document_path(reports, month, tenant_id, number)
        if not path.exists() and number not in altered:
            write_invoice(reports, issued_document(connection, number), sha256, template)
        elif path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            found.append(f"{path} is not {number} as it was issued; restore it from a backup, or remove it")
    return found
