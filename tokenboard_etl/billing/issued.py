"""Issued documents read back from their rows, as the values they were written from (records.py)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple, TypeVar

import duckdb

from tokenboard_etl.billing.invoice import Acceptance, AppendixRow, Buyer, CreditUse, Invoice, Line, Tax, TaxSum
from tokenboard_etl.billing.numbers import seller_from
from tokenboard_etl.billing.records import rows_checksum
from tokenboard_etl.errors import WrongUse
from tokenboard_etl.periods import Month

Part = TypeVar("Part", Line, TaxSum, CreditUse, AppendixRow)
"""What a document has several of."""


def invoices_of(connection: duckdb.DuckDBPyConnection, month: Month) -> list[Invoice]:
    """The issued documents of a month, rebuilt from their frozen rows."""
    return _documents(connection, "month = $1", str(month))


def issued_document(connection: duckdb.DuckDBPyConnection, number: str) -> Invoice:
    """One issued document; raises WrongUse if there is none of that number."""
    found = _documents(connection, "invoice_number = $1", number)
    if not found:
        raise WrongUse(f"There is no document {number!r}; issued ones are in billing.invoices.")
    return found[0]


def altered_rows(connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """Numbers of documents whose rows do not hash to what was recorded when they were issued, month by month.

    Documents from before that was recorded are left out: those whose issue has no evidence either.
    """
    recorded = """
        SELECT document.month, document.invoice_number, document.rows_sha256
        FROM billing.documents AS document LEFT JOIN billing.issues AS issue ON issue.issue_no = document.issue_no
        WHERE document.rows_sha256 IS NOT NULL OR issue.evidence_sha256 IS NOT NULL
    """
    known: dict[str, dict[str, str | None]] = defaultdict(dict)
    for month, number, sha256 in connection.execute(recorded).fetchall():
        known[month][number] = sha256
    for month in sorted(known):
        for document in _documents(connection, "month = $1", month):
            if document.number in known[month] and known[month][document.number] != rows_checksum(document):
                yield document.number


class IssuedAs(NamedTuple):
    """What was noted of a document's bytes when it was issued."""

    sha256: str
    template: str


def issued_as(connection: duckdb.DuckDBPyConnection, month: Month | None = None) -> dict[str, IssuedAs]:
    """By number what the documents of a month, or of all, were when they were issued."""
    rows = connection.execute(
        """
        SELECT invoice_number, sha256, template FROM billing.documents
        WHERE $1 IS NULL OR month = $1 ORDER BY issue_no, 1
        """,
        [month and str(month)],
    ).fetchall()
    return {number: IssuedAs(sha256, template) for number, sha256, template in rows}


def _documents(connection: duckdb.DuckDBPyConnection, condition: str, value: str) -> list[Invoice]:
    heads = connection.execute(
        f"""
        SELECT
            invoice_number, row(tenant_id, buyer_name, buyer_country, buyer_email), month, currency, issued_at, kind,
            per_usd, seller, due_on, terms, reason, row(accepted_reason, accepted_by, accepted_because), corrects
        FROM billing.documents WHERE {condition} ORDER BY series, series_number
        """,  # noqa: S608 - our own text
        [value],
    ).fetchall()
    wanted = f"invoice_number IN (SELECT invoice_number FROM billing.documents WHERE {condition})"  # noqa: S608 - ours
    lines = _parts(
        connection,
        f"""
        SELECT
            invoice_number, line_no, kind, description, provider, account_id, account_name, line_item, margin_rule_id,
            quantity, unit, billed_exact, amount_minor, service_month, original_invoice, original_line, taxes
        FROM billing.invoice_lines WHERE {wanted} ORDER BY line_no
        """,  # noqa: S608 - our own text
        value,
        lambda *row: Line(*(*row[:-1], tuple(row[-1] or ()))),  # a list in DuckDB
    )
    taxes = _parts(
        connection,
        f"""
        SELECT invoice_number, tax, tax_rule_id, name, percent, note, base_minor, tax_minor
        FROM billing.invoice_taxes WHERE {wanted} ORDER BY tax
        """,  # noqa: S608 - our own text
        value,
        _tax_sum,
    )
    uses = _parts(
        connection,
        f"""
        SELECT entry.invoice_number, entry.credit_id, entry.currency, entry.granted, entry.used, entry.amount_minor
        FROM billing.credit_uses AS entry
        JOIN billing.documents AS document
            ON document.invoice_number = entry.invoice_number
            AND document.tenant_id = entry.tenant_id
            AND document.issue_no = entry.issue_no
        WHERE entry.{wanted} ORDER BY entry.rowid
        """,  # noqa: S608 - our own text
        value,
        CreditUse,
    )
    appendix = _parts(
        connection,
        f"""
        SELECT
            invoice_number, row_no, part, key, title, cvs, questions, minutes, billed_exact, amount_minor
        FROM billing.invoice_appendix WHERE {wanted} ORDER BY row_no
        """,  # noqa: S608 - our own text
        value,
        AppendixRow,
    )
    return [
        _document(
            lines.get(number, ()), taxes.get(number, ()), uses.get(number, ()), appendix.get(number, ()), number, *head
        )
        for number, *head in heads
    ]


def _parts(
    connection: duckdb.DuckDBPyConnection, query: str, value: str, made: Callable[..., Part]
) -> dict[str, tuple[Part, ...]]:
    """Rows that begin with a document's number, by that number and in their order."""
    found: dict[str, list[Part]] = defaultdict(list)
    for number, *row in connection.execute(query, [value]).fetchall():
        found[number].append(made(*row))
    return {number: tuple(parts) for number, parts in found.items()}


def _tax_sum(code: str, *row: Any) -> TaxSum:
    """One whose code is another than its name and rate make has a name that none can have: the checksum tells."""
    found = TaxSum(Tax(*row[:-2]), *row[-2:])
    return found if found.tax.code == code else replace(found, tax=replace(found.tax, name=f"{found.tax.name}\n{code}"))


def _document(
    lines: tuple[Line, ...],
    taxes: tuple[TaxSum, ...],
    credit_uses: tuple[CreditUse, ...],
    appendix: tuple[AppendixRow, ...],
    number: str,
    buyer: tuple[str, str, str | None, str | None],
    month: str,
    currency: str,
    issued_at: datetime,
    kind: str,
    per_usd: Decimal,
    seller: str | None,
    due_on: date | None,
    terms: str | None,
    reason: str | None,
    accepted: tuple[str, str, str],
    corrects: str | None,
) -> Invoice:
    return Invoice(
        number,
        Buyer(*buyer),
        Month.parse(month),
        currency,
        issued_at,
        lines,
        taxes,
        kind,
        per_usd,
        credit_uses,
        seller_from(seller),
        due_on,
        terms,
        reason,
        Acceptance(*accepted) if any(accepted) else None,
        corrects,
        appendix,
    )
