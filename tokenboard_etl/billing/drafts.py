"""The month's drafts, read as invoices with the numbers they would get now."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from typing import NamedTuple

import duckdb

from tokenboard_etl.billing.invoice import PROVIDER_NAMES, Buyer, Invoice, Line
from tokenboard_etl.errors import ConfigurationError
from tokenboard_etl.money import to_minor
from tokenboard_etl.periods import Month, utc_day


class _Draft(NamedTuple):
    """One row of billing.invoice_drafts with its tenant."""

    tenant_id: str
    name: str
    country: str | None
    billing_email: str | None
    currency: str
    provider: str
    account_id: str
    account_name: str
    line_item: str
    margin_rule_id: str
    quantity: Decimal | None
    unit: str | None
    billed_exact: Decimal


def draft_invoices(
    connection: duckdb.DuckDBPyConnection, month: Month, now: datetime, tenant_id: str | None
) -> Iterator[Invoice]:
    """The month's drafts as numbered invoices, by tenant_id; tenants who have an invoice already are left out."""
    rows = connection.execute(
        """
        WITH names AS (
            SELECT provider, account_id, max(name) AS name FROM staging.account_names GROUP BY provider, account_id
        )
        SELECT
            tenant.tenant_id, tenant.name, tenant.country, tenant.billing_email, tenant.currency,
            draft.provider, draft.account_id, coalesce(names.name, draft.account_id) AS account_name,
            draft.line_item, draft.margin_rule_id, draft.quantity, draft.unit, draft.billed_exact
        FROM billing.invoice_drafts AS draft
        JOIN registry.tenants AS tenant ON tenant.tenant_id = draft.tenant_id
        LEFT JOIN names ON names.provider = draft.provider AND names.account_id = draft.account_id
        WHERE draft.month = $month
            AND ($tenant::VARCHAR IS NULL OR draft.tenant_id = $tenant)
            AND draft.tenant_id NOT IN (SELECT tenant_id FROM billing.invoices WHERE month = $month)
        ORDER BY tenant.tenant_id, draft.provider, account_name, draft.account_id, draft.line_item, draft.margin_rule_id
        """,
        {"month": str(month), "tenant": tenant_id},
    ).fetchall()
    year = utc_day(now).year
    number = _last_number(connection, year)
    for _, group in groupby(map(_Draft._make, rows), key=lambda draft: draft.tenant_id):
        drafts = list(group)
        tenant = drafts[0]
        if tenant.currency != "USD":
            raise ConfigurationError(
                f"Tenant {tenant.tenant_id} is invoiced in {tenant.currency}, and no exchange rate is known. "
                "Set its currency to USD."
            )
        number += 1
        yield Invoice(
            f"INV-{year}-{number:05d}",
            Buyer(tenant.tenant_id, tenant.name, tenant.country, tenant.billing_email),
            month,
            tenant.currency,
            now,
            tuple(_line(position, draft) for position, draft in enumerate(drafts, start=1)),
        )


def _line(position: int, draft: _Draft) -> Line:
    item = draft.line_item or "not itemised"
    return Line(
        position,
        "usage",
        f"{PROVIDER_NAMES[draft.provider]} · {draft.account_name} · {item}",
        draft.provider,
        draft.account_id,
        draft.account_name,
        draft.line_item,
        draft.margin_rule_id,
        draft.quantity,
        draft.unit,
        draft.billed_exact,
        to_minor(draft.billed_exact, draft.currency),
    )


def _last_number(connection: duckdb.DuckDBPyConnection, year: int) -> int:
    rows = connection.execute(
        """
        SELECT coalesce(max(CAST(split_part(invoice_number, '-', 3) AS INTEGER)), 0)
        FROM billing.invoices WHERE invoice_number LIKE $1
        """,
        [f"INV-{year}-%"],
    ).fetchall()
    return int(rows[0][0])
