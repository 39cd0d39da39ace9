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
    """By tenant. The month is as far as the provider is of which least is known."""
    rows = connection.execute(
        """
        WITH days AS (
            SELECT
                tenant_id, sum(cost_usd) AS cost_usd, sum(billed_usd) AS billed_usd, sum(margin_usd) AS margin_usd,
                sum(estimated_billed_usd) AS estimated_billed_usd
            FROM billing.tenant_days WHERE usage_date >= $1 AND usage_date < $2 GROUP BY tenant_id
        ),
        states AS (
            SELECT
                tenant_id, min(CASE state WHEN 'open' THEN 0 WHEN 'settled' THEN 1 ELSE 2 END) AS least
            FROM billing.tenant_months WHERE month = $3 GROUP BY tenant_id
        ),
        due AS (
            SELECT tenant_id, sum(due_usd) AS due_usd
            FROM billing.corrections_due WHERE month = $3 GROUP BY tenant_id
        )
        SELECT
            days.tenant_id, states.least, days.cost_usd, days.billed_usd, days.margin_usd, margins.margin_percent,
            days.estimated_billed_usd, coalesce(due.due_usd, 0)
        FROM days
        LEFT JOIN states ON states.tenant_id = days.tenant_id
        LEFT JOIN due ON due.tenant_id = days.tenant_id
        LEFT JOIN billing.gross_margins AS margins ON margins.tenant_id = days.tenant_id AND margins.month = $3
        """,
        [month.window.start, month.window.end, str(month)],
    ).fetchall()
    names = ("open", "settled", "closed")
    return {row[0]: (None if row[1] is None else names[row[1]], Usage(*row[2:])) for row in rows}


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
