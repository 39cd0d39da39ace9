"""Closing a month: issued invoices, their lines, and the HTML documents."""

import hashlib
import logging
from collections.abc import Iterator
from typing import Any

import dagster as dg

from assets.loading import read_before_closing
from assets.partitions import month_of, monthly
from assets.resources import Surroundings
from assets.tables import asset_key, column_schema, sha256_of
from tokenboard_etl.billing.obstacles import is_closed, refuse_open_month
from tokenboard_etl.closing import close
from tokenboard_etl.connections import ours
from tokenboard_etl.errors import TokenboardError
from tokenboard_etl.money import format_minor
from tokenboard_etl.warehouse.catalog import catalog
from tokenboard_etl.warehouse.checks import violations_found

log = logging.getLogger("tokenboard.close")

ISSUED = (
    *("billing.documents", "billing.invoice_lines", "billing.invoice_taxes", "billing.credit_uses"),
    "billing.invoice_appendix",
)
DOCUMENTS = dg.AssetKey(["reports", "invoices"])
_EXPLAINED_BY = {"billing.invoice_appendix": ("billing.category_costs", "billing.job_costs")}


class CloseConfig(dg.Config):
    """`tenant_id` closes for one tenant only; `accepted_reason` accepts days that are not final and checks that failed,
    by the word of `accepted_by`.
    """

    tenant_id: str | None = None
    accepted_reason: str | None = None
    accepted_by: str | None = None


def _issued_spec(table: str) -> dg.AssetSpec:
    return dg.AssetSpec(
        asset_key(table),
        deps=[asset_key(each) for each in ("billing.invoice_drafts", *_EXPLAINED_BY.get(table, ()))],
        group_name="billing",
        kinds={"duckdb", "table"},
        owners=["team:billing"],
        description=catalog()[table].comment,
        metadata={"dagster/table_name": table, "dagster/column_schema": column_schema(catalog()[table])},
        partitions_def=monthly,
    )


@dg.multi_asset(
    name="close_month",
    specs=[
        *(_issued_spec(table) for table in ISSUED),
        dg.AssetSpec(
            DOCUMENTS,
            deps=[asset_key(table) for table in ISSUED],
            group_name="reports",
            kinds={"html", "jinja"},
            owners=["team:finance"],
            description="One HTML invoice per tenant and month, rendered from the issued rows.",
            partitions_def=monthly,
        ),
    ],
    pool="duckdb_writer",
)
def close_month(
    context: dg.AssetExecutionContext, config: CloseConfig, surroundings: dg.ResourceParam[Surroundings]
) -> Iterator[dg.MaterializeResult[Any]]:
    """Brings the figures up to date, checks them, issues what is not issued and writes the documents.

    A month that was not read since all of it had settled is read once more before.
    """
    settings, month = surroundings.settings(), month_of(context)
    refuse_open_month(month, settings.now)
    with surroundings.warehouse() as warehouse:
        try:
            if not is_closed(warehouse, month, config.tenant_id):
                read_before_closing(warehouse, settings, ours(settings), month, context.run.run_id)
        except TokenboardError as error:
            if not config.accepted_reason:
                raise
            log.warning("%s is closed without reading it once more: %s", month, error)
        closed = close(
            warehouse,
            settings,
            month,
            tenant_id=config.tenant_id,
            accepted_reason=config.accepted_reason,
            accepted_by=config.accepted_by,
        )
    if closed.failed_checks:
        log.warning("%s is closed; its documents are in place, but nothing is published", month)
        raise violations_found(closed.failed_checks)
    table = "\n".join(
        f"| {invoice.number} | {invoice.buyer.tenant_id} | {format_minor(invoice.total_minor, invoice.currency)} |"
        for invoice in closed.invoices[:20]
    )
    preview = dg.MetadataValue.md(f"| number | tenant | total |\n|---|---|---:|\n{table}")
    rows = {
        "billing.invoice_lines": sum(len(invoice.lines) for invoice in closed.invoices),
        "billing.invoice_taxes": sum(len(invoice.taxes) for invoice in closed.invoices),
        "billing.credit_uses": sum(len(invoice.credit_uses) for invoice in closed.invoices),
        "billing.invoice_appendix": sum(len(invoice.appendix) for invoice in closed.invoices),
    }
    yield dg.MaterializeResult(
        asset_key=asset_key("billing.documents"),
        metadata={
            "issued": len(closed.issued),
            "dagster/partition_row_count": len(closed.invoices),
            "preview": preview,
        },
    )
    for name, count in rows.items():
        yield dg.MaterializeResult(asset_key=asset_key(name), metadata={"dagster/partition_row_count": count})
    yield dg.MaterializeResult(
        asset_key=DOCUMENTS,
        metadata={
            "path": dg.MetadataValue.path(str(settings.reports_path / str(month))),
            "files": len(closed.written),
            "sha256": sha256_of([hashlib.sha256(path.read_bytes()).hexdigest() for path in closed.written]),
            "preview": preview,
        },
    )
