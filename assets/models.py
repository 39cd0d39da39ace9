"""The derived tables: one asset per SQL file, built together in one transaction."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from assets.operations import OPERATIONS
from assets.prices import PRICES
from assets.resources import Surroundings
from assets.tables import asset_key, column_schema
from tokenboard_etl.closing import bring_up_to_date
from tokenboard_etl.extraction import LIVE, REPORTS
from tokenboard_etl.warehouse.catalog import catalog
from tokenboard_etl.warehouse.load import raw_table
from tokenboard_etl.warehouse.publish import INTRADAY
from tokenboard_etl.warehouse.sql_files import SqlFile, models_in_order, sources_of

RECORDS = (
    "registry.tenants",
    "registry.tenant_names",
    "registry.accounts",
    "registry.connections",
    "registry.provisioning",
    "registry.keys",
    "registry.audit",
    "registry.registrations",
)
"""Tables people fill; they stand in the graph so that it shows where a tenant comes from."""


def model_spec(model: SqlFile) -> dg.AssetSpec:
    """A model as an asset; what it depends on is read from its SQL.

    Only usage.intraday shows that it reads live tables. Pricing reads them too, but the step that fills them needs the
    pricing, and Dagster wants steps in one order.
    """
    known = {raw_table(provider, report) for provider, report in REPORTS}
    if model.name == INTRADAY:
        known |= {raw_table(report.provider, report.name) for report in LIVE}
    known |= {other.name for other in models_in_order()} | {*RECORDS, PRICES, OPERATIONS}
    return dg.AssetSpec(
        asset_key(model.name),
        deps=[asset_key(source) for source in sorted(sources_of(model.name) & known)],
        group_name=model.schema,
        kinds={"duckdb", "sql", "view" if model.is_view else "table"},
        owners=[model.tags["owner"]],
        description=f"{model.title}\n\nGrain: {model.tags['grain']}.",
        metadata={"dagster/table_name": model.name, "dagster/column_schema": column_schema(catalog()[model.name])},
    )


NIGHTLY_MODELS = tuple(model for model in models_in_order() if model.name != INTRADAY)
"""usage.intraday has a job of its own (assets/intraday.py). It is built here too, so that a night clears its days."""


@dg.multi_asset(
    name="models", specs=[model_spec(model) for model in NIGHTLY_MODELS], can_subset=False, pool="duckdb_writer"
)
def models(surroundings: dg.ResourceParam[Surroundings]) -> Iterator[dg.MaterializeResult[Any]]:
    """Builds the months whose input changed."""
    with surroundings.warehouse() as warehouse:
        rows = bring_up_to_date(warehouse, surroundings.settings())
    for model in NIGHTLY_MODELS:
        counted = {"dagster/row_count": rows[model.name]} if model.name in rows else {}  # views are not read for it
        yield dg.MaterializeResult(asset_key=asset_key(model.name), metadata=counted)


records = [
    dg.AssetSpec(
        asset_key(table),
        group_name="registry",
        kinds={"duckdb", "table"},
        owners=["team:tenants"],
        description=catalog()[table].comment,
        metadata={"dagster/table_name": table, "dagster/column_schema": column_schema(catalog()[table])},
    )
    for table in RECORDS
]
