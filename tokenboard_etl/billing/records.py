"""Issued documents as rows, written once; issued.py reads them back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import is_dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

import duckdb

from tokenboard_etl.billing.invoice import AppendixRow, CreditUse, Invoice, Line, Rendered, Tax
from tokenboard_etl.billing.numbers import Number
from tokenboard_etl.billing.policy import Seller
from tokenboard_etl.money import exact


class Issued(NamedTuple):
    """A document with its number and its bytes."""

    document: Invoice
    number: Number
    rendered: Rendered


def insert_documents(
    connection: duckdb.DuckDBPyConnection, issued: Sequence[Issued], issue_no: int, policy_sha256: str
) -> None:
    """Writes documents with their lines, taxes, uses of credits, appendices, and the loads they rest on."""
    _append(connection, "billing.documents", [_head(each, issue_no, policy_sha256) for each in issued])
    lines = [(each.number.text, *_row(line)) for each in issued for line in each.document.lines]
    taxes = [
        (each.number.text, sum_.tax.code, *_values(sum_.tax), sum_.base_minor, sum_.tax_minor)
        for each in issued
        for sum_ in each.document.taxes
    ]
    uses = [
        (each.number.text, issue_no, each.document.buyer.tenant_id, *_values(use))
        for each in issued
        for use in each.document.credit_uses
    ]
    _append(connection, "billing.invoice_lines", lines)
    _append(connection, "billing.invoice_taxes", taxes)
    _append(connection, "billing.credit_uses", uses)
    appendix = [(each.number.text, *_values(row)) for each in issued for row in each.document.appendix]
    _append(connection, "billing.invoice_appendix", appendix)
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
    """Over everything a document says; the same for one that was read back.

    One without an appendix has the checksum it had before there were any.
    """
    with exact():
        said = dict(vars(document))
        if not document.appendix:
            del said["appendix"]
        return hashlib.sha256(json.dumps(said, default=_in_words).encode()).hexdigest()


def _in_words(value: object) -> object:
    """A value JSON does not know; a figure without the zeros that say nothing."""
    if is_dataclass(value):
        return vars(value)
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, Seller):
        return value.model_dump_json()
    return str(value)


def _row(line: Line) -> tuple[object, ...]:
    return (*_values(line)[:-1], list(line.taxes))


def _values(of: Line | Tax | CreditUse | AppendixRow) -> tuple[object, ...]:
    """Its fields in their order; dataclasses.astuple would copy each of them deeply, which is slow."""
    return tuple(vars(of).values())


def _append(connection: duckdb.DuckDBPyConnection, table: str, rows: list[tuple[object, ...]]) -> None:
    if rows:
        appender = connection.appender(table)
        appender.append_rows(rows)
        appender.flush()
