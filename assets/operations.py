"""Operations that applications tell of: files of the inbox, taken in before the tables are built."""

from typing import Any

import dagster as dg

from assets.resources import Surroundings
from assets.tables import asset_key, column_schema
from tokenboard_etl.operations.inbox import take_in
from tokenboard_etl.warehouse.catalog import catalog
from tokenboard_etl.warehouse.models import row_count

OPERATIONS = "ops.operations"


@dg.asset(
    key=asset_key(OPERATIONS),
    group_name="ops",
    kinds={"duckdb", "table", "file"},
    owners=["team:data"],
    pool="duckdb_writer",
    description=catalog()[OPERATIONS].comment,
    metadata={"dagster/table_name": OPERATIONS, "dagster/column_schema": column_schema(catalog()[OPERATIONS])},
)
def operations(surroundings: dg.ResourceParam[Surroundings]) -> dg.MaterializeResult[Any]:
    """Loads what is new in inbox/operations; what cannot be loaded goes to quarantine and stops nothing."""
    settings = surroundings.settings()
    with surroundings.warehouse() as warehouse:
        taken = take_in(warehouse, settings.operations_inbox_path, settings.now)
        rows = row_count(warehouse, OPERATIONS)
    return dg.MaterializeResult(
        metadata={
            "files": taken.files,
            "loaded": taken.loaded,
            "rejected": taken.rejected,
            "dagster/row_count": rows,
        }
    )
