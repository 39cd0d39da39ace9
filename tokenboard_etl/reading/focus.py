"""Charges in the FinOps FOCUS format, version 1.2; docs/focus.md has the mapping.

Two sides of the same month: what the providers charge us (cost), what we charge our tenants (billing).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

import duckdb

from tokenboard_etl.money import from_minor
from tokenboard_etl.periods import Month
from tokenboard_etl.reading.parquet import write_parquet
from tokenboard_etl.reading.published import open_published, require_month
from tokenboard_etl.warehouse.sql_files import read_sql

Side = Literal["cost", "billing"]
SIDES: tuple[Side, ...] = get_args(Side)

UNITS = {
    "tokens": "Tokens",
    "requests": "Requests",
    "characters": "Characters",
    "duration_seconds": "Seconds",
    "gibibyte_hours": "GiB-Hours",
}
"""Units of quantities as FOCUS writes them; others stay as the provider calls them."""

NO_SELLER = "Reseller"
"""Who issues the invoices where the policy names nobody; FOCUS wants a name."""


def export_focus(published: Path, month_text: str, side: Side, seller: str | None, folder: Path) -> tuple[Path, int]:
    """Writes focus-<side>-<month>.parquet into `folder`; returns its path and rows."""
    with open_published(published) as connection:
        month = require_month(connection, month_text)
        values: dict[str, object] = {"month_start": month.window.start, "month_end": month.window.end}
        connection.execute("CREATE TEMP TABLE units (unit VARCHAR, focus_unit VARCHAR)")
        connection.executemany("INSERT INTO units VALUES ($1, $2)", [list(pair) for pair in UNITS.items()])
        if side == "billing":
            _prepare_documents(connection, month)
            connection.execute("CREATE TEMP TABLE seller AS SELECT $1 AS name", [seller or NO_SELLER])
            values |= {"month": str(month)}
        connection.execute(f"CREATE TEMP TABLE focus AS {read_sql(f'exports.focus_{side}').query}", values)
        path = folder / f"focus-{side}-{month}.parquet"
        return path, write_parquet(connection, "focus", path)


def _prepare_documents(connection: duckdb.DuckDBPyConnection, month: Month) -> None:
    """The temporary table `issued`: every line and every tax of the month's documents, in the document's currency."""
    currencies = connection.execute("SELECT DISTINCT currency FROM billing.invoices").fetchall()
    connection.execute("CREATE TEMP TABLE minor_units (currency VARCHAR, one DECIMAL(12, 6))")
    for (currency,) in currencies:
        connection.execute("INSERT INTO minor_units VALUES ($1, $2)", [currency, from_minor(1, currency)])
    connection.execute(
        """
        CREATE TEMP TABLE issued AS
        WITH documents AS (
            SELECT document.*, minor_units.one
            FROM billing.invoices AS document JOIN minor_units USING (currency)
            WHERE document.month = $month
        )
        SELECT
            document.invoice_number, line.line_no, line.kind, line.original_invoice AS corrects, document.tenant_id,
            document.buyer_name AS tenant_name, document.currency,
            CAST(line.service_month || '-01' AS DATE) AS charge_start, line.description, line.provider,
            line.account_id, line.account_name, line.line_item, line.quantity, line.unit,
            CAST(CAST(line.amount_minor AS DECIMAL(20, 0)) * document.one AS DECIMAL(38, 24)) AS amount
        FROM documents AS document
        JOIN billing.invoice_lines AS line ON line.invoice_number = document.invoice_number
        UNION ALL
        SELECT
            invoice_number, NULL, 'tax', CASE WHEN kind = 'credit_note' THEN corrects END, tenant_id,
            buyer_name, currency, CAST(month || '-01' AS DATE), 'Tax', '', '', '', '', NULL, NULL,
            CAST(CAST(tax_minor AS DECIMAL(20, 0)) * one AS DECIMAL(38, 24))
        FROM documents
        WHERE tax_minor <> 0
        """,
        {"month": str(month)},
    )
