"""What a tenant may have of the published file: its documents, their lines, taxes and appendices, its days. No cost, no
margin, nobody else.

Columns are named one by one, so that a new column of a table goes nowhere by itself. What names a margin rule, a
connection or a load is left out, because a name may tell what it stands for.
"""

from __future__ import annotations

from pathlib import Path

from tokenboard_etl.errors import WrongUse
from tokenboard_etl.files import printable, write_atomically, written_in_place_of
from tokenboard_etl.reading.parquet import write_parquet
from tokenboard_etl.reading.published import UNALLOCATED, open_published, require_tenant
from tokenboard_etl.warehouse.sql_files import SQL_ROOT

CHECK = SQL_ROOT / "exports" / "tenant_check.sql"
"""Goes out as it is; it names no tenant."""

_TABLES = {
    "documents": """
        SELECT invoice_number, month, kind, status, currency, net_minor, tax_minor, total_minor, issued_at, corrects
        FROM billing.invoices WHERE tenant_id = $1 ORDER BY invoice_number
    """,
    "lines": """
        SELECT
            line.invoice_number, line.line_no, document.month, line.service_month, line.kind, line.description,
            line.original_invoice, line.original_line, line.provider, line.account_id, line.account_name,
            line.line_item, line.quantity, line.unit, document.currency, line.billed_exact AS billed_usd,
            line.amount_minor, line.taxes
        FROM billing.invoices AS document
        JOIN billing.invoice_lines AS line ON line.invoice_number = document.invoice_number
        WHERE document.tenant_id = $1 ORDER BY line.invoice_number, line.line_no
    """,
    "taxes": """
        SELECT known.invoice_number, known.tax, known.percent, known.base_minor, known.tax_minor
        FROM billing.invoices AS document
        JOIN billing.invoice_taxes AS known ON known.invoice_number = document.invoice_number
        WHERE document.tenant_id = $1 ORDER BY known.invoice_number, known.tax
    """,
    "appendices": """
        SELECT
            explained.invoice_number, explained.row_no, explained.part, explained.key, explained.title, explained.cvs,
            explained.questions, explained.minutes, document.currency, explained.billed_exact AS billed_usd,
            explained.amount_minor
        FROM billing.invoices AS document
        JOIN billing.invoice_appendix AS explained ON explained.invoice_number = document.invoice_number
        WHERE document.tenant_id = $1 ORDER BY explained.invoice_number, explained.row_no
    """,
    "days": """
        SELECT
            usage_date, provider, billed_account_id AS account_id, api_key_id, invoice_item AS line_item, model,
            category, quantity, quantity_unit, billed_usd
        FROM billing.charges WHERE tenant_id = $1 AND invoice_item IS NOT NULL
        ORDER BY usage_date, provider, account_id, api_key_id, line_item
    """,
}


def export_tenant(published: Path, tenant_id: str, folder: Path) -> list[tuple[Path, int]]:
    """Puts the tenant's Parquet files and check.sql in `folder`/tenant-<id>; returns each file with its rows.

    The files of an earlier export give way all at once. Raises WrongUse if that folder holds anything else.
    """
    if tenant_id == UNALLOCATED:
        raise WrongUse("Unallocated spend belongs to no tenant, so there is nobody to export it for.")
    own = folder / f"tenant-{tenant_id}"
    with open_published(published) as connection:
        require_tenant(connection, tenant_id)
        _refuse_strangers(own)
        with written_in_place_of(own) as beside:
            written = []
            for name, query in _TABLES.items():
                connection.execute(f"CREATE TEMP TABLE {name} AS {query}", [tenant_id])
                file = f"{name}.parquet"
                written.append((own / file, write_parquet(connection, name, beside / file)))
            write_atomically(beside / "check.sql", CHECK.read_bytes())
    return written


def _refuse_strangers(own: Path) -> None:
    """What is not from an export is not thrown away with it."""
    known = {"check.sql", *(f"{name}.parquet" for name in _TABLES)}
    if not own.exists():
        return
    if not own.is_dir():
        raise WrongUse(f"{own} is no folder; the export needs that place.")
    others = sorted(each.name for each in own.iterdir() if each.name not in known and not each.name.startswith("."))
    if others:
        raise WrongUse(
            f"{own} also holds what no export wrote ({printable(others[0])}), and an export replaces the whole folder: "
            "move that away, or export elsewhere with --to."
        )
