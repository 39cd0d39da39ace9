"""The finance register of a month: every issued document, and beside it what the tenant's month cost and brought in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import duckdb

from tokenboard_etl.money import exact_sum
from tokenboard_etl.periods import Month
from tokenboard_etl.reading.published import UNALLOCATED


@dataclass(frozen=True)
class Issued:
    """A document as it was issued, in minor units of its currency; `status` is what became of it."""

    invoice_number: str
    kind: str
    status: str
    currency: str
    net_minor: int
    tax_minor: int
    total_minor: int
    credited_minor: int
    issued_on: date
    due_on: date | None
    corrects: str | None


@dataclass(frozen=True)
class Usage:
    """A tenant's month at the providers' own figures, US dollars as they are today, and what else is estimated.

    `margin_percent` is NULL where nothing is billed; `due_usd` is what the next invoice corrects.
    """

    cost_usd: Decimal
    billed_usd: Decimal
    margin_usd: Decimal
    margin_percent: Decimal | None
    estimated_billed_usd: Decimal
    due_usd: Decimal


@dataclass(frozen=True)
class Entry:
    """A document, or a tenant's month without one. `usage` stands on a tenant's first row only, so that it adds up.

    `state` is open, settled or closed; None where the month has no figures.
    """

    tenant_id: str
    name: str | None
    state: str | None
    document: Issued | None
    usage: Usage | None


@dataclass(frozen=True)
class Totals:
    """Of the documents of one currency, in its minor units."""

    currency: str
    documents: int
    net_minor: int
    tax_minor: int
    total_minor: int
    credited_minor: int


@dataclass(frozen=True)
class Register:
    """Entries by tenant; unallocated spend comes last, and with it the costs add up to the providers' bills."""

    month: Month
    entries: Sequence[Entry]
    totals: Sequence[Totals]
    cost_usd: Decimal
    billed_usd: Decimal
    margin_usd: Decimal
    estimated_billed_usd: Decimal


def register(connection: duckdb.DuckDBPyConnection, month: Month) -> Register:
    """The month's register from an open published file."""
    usages, documents = _usages(connection, month), _documents(connection, month)
    names = dict(connection.execute("SELECT tenant_id, name FROM registry.tenants").fetchall())
    entries = []
    for tenant_id in sorted({*usages, *documents}, key=lambda each: (each == UNALLOCATED, each)):
        state, usage = usages.get(tenant_id, (None, None))
        issued = documents.get(tenant_id, [])
        entries += [
            Entry(tenant_id, names.get(tenant_id), state, document, usage if place == 0 else None)
            for place, document in enumerate(issued or [None])
        ]
    found = [entry.usage for entry in entries if entry.usage]
    return Register(
        month,
        entries,
        _totals([document for issued in documents.values() for document in issued]),
        exact_sum(each.cost_usd for each in found),
        exact_sum(each.billed_usd for each in found),
        exact_sum(each.margin_usd for each in found),
        exact_sum(each.estimated_billed_usd for each in found),
    )


def _usages(connection: duckdb.DuckDBPyConnection, month: Month) -> dict[str, tuple[str | None, Usage]]:
    """By tenant, with the state of the month."""
    rows = connection.execute(
        """
        SELECT
            tenant_id, state, cost_usd, billed_usd, margin_usd, margin_percent, estimated_billed_usd, due_usd
        FROM views.tenant_months WHERE month = $1
        """,
        [str(month)],
    ).fetchall()
    return {tenant_id: (state, Usage(*figures)) for tenant_id, state, *figures in rows}


def _documents(connection: duckdb.DuckDBPyConnection, month: Month) -> dict[str, list[Issued]]:
    rows: list[tuple[Any, ...]] = connection.execute(
        """
        SELECT
            tenant_id, invoice_number, kind, status, currency, net_minor, tax_minor, total_minor, credited_minor,
            CAST(issued_at AS DATE), due_on, corrects
        FROM billing.invoices WHERE month = $1 ORDER BY tenant_id, issued_at, invoice_number
        """,
        [str(month)],
    ).fetchall()
    found: dict[str, list[Issued]] = {}
    for tenant_id, *document in rows:
        found.setdefault(tenant_id, []).append(Issued(*document))
    return found


def _totals(documents: Sequence[Issued]) -> list[Totals]:
    currencies = sorted({document.currency for document in documents})
    by_currency = [[each for each in documents if each.currency == currency] for currency in currencies]
    return [
        Totals(
            of[0].currency,
            len(of),
            sum(each.net_minor for each in of),
            sum(each.tax_minor for each in of),
            sum(each.total_minor for each in of),
            sum(each.credited_minor for each in of),
        )
        for of in by_currency
    ]
