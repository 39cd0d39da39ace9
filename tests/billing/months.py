"""Months with drafts planted in them, for tests of what closing makes of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import duckdb

from tokenboard_etl.billing.invoice import Invoice
from tokenboard_etl.billing.issue import close_month
from tokenboard_etl.billing.policy_file import PolicyFile, parse_policy
from tokenboard_etl.billing.policy_versions import record_policy
from tokenboard_etl.periods import Month
from tokenboard_etl.rendering.invoices import render_invoice
from tokenboard_etl.tenants.registry import Tenant, save_tenant
from tokenboard_etl.warehouse.connection import configure, open_warehouse
from tokenboard_etl.warehouse.migrations import migrate
from tokenboard_etl.warehouse.models import build_models

NOW = datetime(2026, 12, 15, 2, tzinfo=UTC)
MAY, JUNE, JULY, AUGUST = (Month(2026, number) for number in (5, 6, 7, 8))

Amounts = Mapping[str, Decimal]
"""What a tenant's month comes to in USD, by line item."""


@contextmanager
def months_in_memory() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    configure(connection)
    migrate(connection)
    build_models(connection, NOW, settle_days=4)
    yield connection
    connection.close()


@contextmanager
def months_on_disk(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_warehouse(path) as connection:
        build_models(connection, NOW, settle_days=4)
        yield connection


def policy(**sections: Any) -> PolicyFile:
    return parse_policy(json.dumps(sections, default=str).encode(), "policy.yaml")


def use(connection: duckdb.DuckDBPyConnection, file: PolicyFile) -> None:
    record_policy(connection, file, NOW)


def register(connection: duckdb.DuckDBPyConnection, tenant_id: str, currency: str = "USD", country: str = "DE") -> None:
    """A tenant, or what is known of it now."""
    known = connection.execute("SELECT count(*) FROM registry.tenants WHERE tenant_id = $1", [tenant_id]).fetchall()
    tenant = Tenant(tenant_id, tenant_id.title(), None, country, currency, None)
    before = {tenant_id: Tenant(tenant_id, "", None, None, "USD", None)} if known[0][0] else {}
    save_tenant(connection, tenant, before, NOW)


def rate(connection: duckdb.DuckDBPyConnection, tenant_id: str, month: Month, amounts: Amounts) -> None:
    """What the month comes to from now on."""
    values = [str(month), tenant_id]
    connection.execute("DELETE FROM billing.invoice_drafts WHERE month = $1 AND tenant_id = $2", values)
    for item, usd in amounts.items():
        connection.execute(
            """
            INSERT INTO billing.invoice_drafts BY NAME
            SELECT $1 AS month, $2 AS tenant_id, 'openai' AS provider, 'proj' AS account_id, $3 AS line_item,
                'default-openai' AS margin_rule_id, $4::DECIMAL(38, 24) AS billed_exact
            """,
            [*values, item, usd],
        )


def explain(
    connection: duckdb.DuckDBPyConnection,
    tenant_id: str,
    month: Month,
    categories: Amounts,
    jobs: Mapping[str | None, Decimal],
) -> None:
    """What the month's usage is for from now on, in USD: by category; by job, '' for none, None for the rest."""
    values = [str(month), tenant_id]
    for table in ("category_costs", "job_costs"):
        connection.execute(f"DELETE FROM billing.{table} WHERE month = $1 AND tenant_id = $2", values)
    for category, usd in categories.items():
        connection.execute(
            """
            INSERT INTO billing.category_costs BY NAME
            SELECT $1 AS month, $2 AS tenant_id, $3 AS category, $4::DECIMAL(38, 24) AS billed_usd, 7 AS cvs
            """,
            [*values, category, usd],
        )
    for job, usd in jobs.items():
        connection.execute(
            """
            INSERT INTO billing.job_costs BY NAME
            SELECT $1 AS month, $2 AS tenant_id, coalesce($3, '') AS job_id, 'Opening ' || nullif($3, '') AS job_title,
                CASE WHEN $3 IS NULL THEN 'rest' ELSE 'operations' END AS part,
                $4::DECIMAL(38, 24) AS total_billed_usd, 3 AS cvs, 0 AS questions, 1.5 AS minutes
            """,
            [*values, job, usd],
        )


def close(
    connection: duckdb.DuckDBPyConnection, month: Month, tenant_id: str | None = None, now: datetime = NOW
) -> list[Invoice]:
    """Nothing was ever read here, which is accepted."""
    return close_month(
        connection,
        month,
        now,
        render_invoice,
        tenant_id=tenant_id,
        accepted_reason="planted figures",
        accepted_by="the test",
    )


def half_up(value: Fraction) -> int:
    """The nearest whole number, a half away from zero; by the digits, not as the code does it."""
    whole, rest = divmod(abs(value), 1)
    return int(whole + (1 if 2 * rest >= 1 else 0)) * (1 if value >= 0 else -1)
