"""The derived tables: one asset per SQL file, built together in one transaction."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from assets.prices import PRICES
from assets.resources import Surroundings
from assets.tables import asset_key, column_schema
from tokenboard_etl.closing import bring_up_to_date
from tokenboard_etl.extraction import REPORTS
from tokenboard_etl.warehouse.catalog import catalog
from tokenboard_etl.warehouse.load import raw_table
from tokenboard_etl.warehouse.sql_files import SqlFile, models_in_order, sources_of

RECORDS = ("registry.tenants", "registry.accounts", "registry.connections")
"""Tables people fill; they stand in the graph so that it shows where a tenant comes from."""


def _spec(model: SqlFile) -> dg.AssetSpec:
    known = {raw_table(provider, report) for provider, report in REPORTS}
    known |= {other.name for other in models_in_order()} | {*RECORDS, PRICES}
    return dg.AssetSpec(
        asset_key(model.name),
        deps=[asset_key(source) for source in sorted(sources_of(model.name) & known)],
        group_name=model.schema,
        kinds={"duckdb", "sql", "view" if model.schema == "staging" else "table"},
        owners=[model.tags["owner"]],
        description=f"{model.title}\n\nGrain: {model.tags['grain']}.",
        metadata={"dagster/table_name": model.name, "dagster/column_schema": column_schema(catalog()[model.name])},
    )


@dg.multi_asset(
    name="models", specs=[_spec(model) for model in models_in_order()], can_subset=False, pool="duckdb_writer"
)
def models(surroundings: dg.ResourceParam[Surroundings]) -> Iterator[dg.MaterializeResult[Any]]:
    """Builds the months whose input changed."""
    with surroundings.warehouse() as warehouse:
        rows = bring_up_to_date(warehouse, surroundings.settings())
    for table, count in rows.items():
        yield dg.MaterializeResult(asset_key=asset_key(table), metadata={"dagster/row_count": count})


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
