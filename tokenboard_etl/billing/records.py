"""Issued documents as rows: written once, read back as the values they were written from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, astuple, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import NamedTuple

import duckdb

from tokenboard_etl.billing.invoice import (
    Acceptance,
    Buyer,
    CreditUse,
    Invoice,
    Line,
    Rendered,
    Tax,
    TaxSum,
)
from tokenboard_etl.billing.numbers import Number, seller_from
from tokenboard_etl.billing.policy import Seller
from tokenboard_etl.errors import WrongUse
from tokenboard_etl.money import exact
from tokenboard_etl.periods import Month


class Issued(NamedTuple):
    """A document with its number and its bytes."""

    document: Invoice
    number: Number
    rendered: Rendered


def insert_documents(
    connection: duckdb.DuckDBPyConnection, issued: Sequence[Issued], issue_no: int, policy_sha256: str
) -> None:
    """Writes documents with their lines, taxes, uses of credits, and the loads they rest on."""
    _append(connection, "billing.documents", [_head(each, issue_no, policy_sha256) for each in issued])
    lines = [(each.number.text, *_row(line)) for each in issued for line in each.document.lines]
    taxes = [
        (each.number.text, sum_.tax.code, *astuple(sum_.tax), sum_.base_minor, sum_.tax_minor)
        for each in issued
        for sum_ in each.document.taxes
    ]
    uses = [
        (each.number.text, issue_no, each.document.buyer.tenant_id, *astuple(use))
        for each in issued
        for use in each.document.credit_uses
    ]
    _append(connection, "billing.invoice_lines", lines)
    _append(connection, "billing.invoice_taxes", taxes)
    _append(connection, "billing.credit_uses", uses)
    connection.execute(
        """
        INSERT INTO billing.invoice_inputs
        WITH billed AS (
            SELECT DISTINCT document.invoice_number, document.tenant_id, line.service_month
            FROM billing.documents AS document
            JOIN billing.invoice_lines AS line ON line.invoice_number = document.invoice_number
            WHERE document.issue_no = $1 AND line.kind IN ('usage', 'adjustment')
        )
        SELECT DISTINCT billed.invoice_number, loads.load_id, loads.sha256
        FROM billed
        JOIN billing.charges AS charge
            ON charge.tenant_id = billed.tenant_id AND strftime(charge.usage_date, '%Y-%m') = billed.service_month
        JOIN ops.loads AS loads ON loads.load_id = charge.load_id
        """,
        [issue_no],
    )


def _head(issued: Issued, issue_no: int, policy_sha256: str) -> tuple[object, ...]:
    document, number, rendered = issued
    buyer, accepted = document.buyer, document.accepted
    return (
        number.text,
        number.series,
        number.position,
        issue_no,
        buyer.tenant_id,
        str(document.month),
        document.kind,
        document.currency,
        document.per_usd,
        document.net_minor,
        document.tax_minor,
        document.total_minor,
        document.issued_at,
        document.due_on,
        document.seller and document.seller.model_dump_json(),
        buyer.name,
        buyer.country,
        buyer.email,
        document.terms,
        document.reason,
        accepted and accepted.reason,
        accepted and accepted.by,
        accepted and accepted.because,
        rendered.template,
        rendered.sha256,
        policy_sha256,
        document.corrects,
        rendered.template_sha256,
        rows_checksum(document),
    )


def rows_checksum(document: Invoice) -> str:
    """Over everything a document says; the same for one that was read back."""
    with exact():
        return hashlib.sha256(json.dumps(asdict(document), default=_in_words).encode()).hexdigest()


def _in_words(value: object) -> str:
    """A value JSON does not know; a figure without the zeros that say nothing."""
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, Seller):
        return value.model_dump_json()
    return str(value)


def invoices_of(connection: duckdb.DuckDBPyConnection, month: Month) -> list[Invoice]:
    """The issued documents of a month, rebuilt from their frozen rows."""
    return _documents(connection, "month = $1", str(month))


def issued_document(connection: duckdb.DuckDBPyConnection, number: str) -> Invoice:
    """One issued document; raises WrongUse if there is none of that number."""
    found = _documents(connection, "invoice_number = $1", number)
    if not found:
        raise WrongUse(f"There is no document {number!r}; issued ones are in billing.invoices.")
    return found[0]


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
    return [_document(connection, *head) for head in heads]


def _document(
    connection: duckdb.DuckDBPyConnection,
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
    accepted: tuple[str | None, str, str],
    corrects: str | None,
) -> Invoice:
    return Invoice(
        number,
        Buyer(*buyer),
        Month.parse(month),
        currency,
        issued_at,
        _lines(connection, number),
        _taxes(connection, number),
        kind,
        per_usd,
        _credit_uses(connection, number),
        seller_from(seller),
        due_on,
        terms,
        reason,
        None if accepted[0] is None else Acceptance(accepted[0], *accepted[1:]),
        corrects,
    )


def _lines(connection: duckdb.DuckDBPyConnection, number: str) -> tuple[Line, ...]:
    rows = connection.execute(
        """
        SELECT
            line_no, kind, description, provider, account_id, account_name, line_item, margin_rule_id, quantity, unit,
            billed_exact, amount_minor, service_month, original_invoice, original_line, taxes
        FROM billing.invoice_lines WHERE invoice_number = $1 ORDER BY line_no
        """,
        [number],
    ).fetchall()
    lines = (Line(*row) for row in rows)
    return tuple(replace(line, taxes=tuple(line.taxes)) for line in lines)  # a list in DuckDB


def _taxes(connection: duckdb.DuckDBPyConnection, number: str) -> tuple[TaxSum, ...]:
    rows = connection.execute(
        """
        SELECT tax_rule_id, name, percent, note, base_minor, tax_minor
        FROM billing.invoice_taxes WHERE invoice_number = $1 ORDER BY tax
        """,
        [number],
    ).fetchall()
    return tuple(TaxSum(Tax(*tax), base, amount) for *tax, base, amount in rows)


def _credit_uses(connection: duckdb.DuckDBPyConnection, number: str) -> tuple[CreditUse, ...]:
    rows = connection.execute(
        """
        SELECT credit_id, currency, granted, used, amount_minor
        FROM billing.credit_uses WHERE invoice_number = $1 ORDER BY rowid
        """,
        [number],
    ).fetchall()
    return tuple(CreditUse(*row) for row in rows)


def _row(line: Line) -> tuple[object, ...]:
    return (*astuple(line)[:-1], list(line.taxes))


def _append(connection: duckdb.DuckDBPyConnection, table: str, rows: list[tuple[object, ...]]) -> None:
    if rows:
        appender = connection.appender(table)
        appender.append_rows(rows)
        appender.flush()
