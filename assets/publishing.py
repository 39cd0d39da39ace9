"""The analysts' file, replaced only after every blocking check has passed."""

from typing import Any

import dagster as dg

from assets.invoices import ISSUED
from assets.models import NIGHTLY_MODELS
from assets.resources import Surroundings
from assets.tables import asset_key
from tokenboard_etl.lake.keeping import keep
from tokenboard_etl.lake.stored import Lake
from tokenboard_etl.warehouse.publish import PUBLISHED_SCHEMAS, publish

PUBLISHED = dg.AssetKey(["published", "tokenboard"])


@dg.asset(
    key=PUBLISHED,
    deps=[
        *(asset_key(model.name) for model in NIGHTLY_MODELS if model.schema in PUBLISHED_SCHEMAS),
        *(asset_key(table) for table in ISSUED),
    ],
    group_name="published",
    kinds={"duckdb", "file"},
    owners=["team:data"],
    pool="duckdb_writer",
    description="published/tokenboard.duckdb: a verified read-only copy, put in place with one rename.",
)
def published(surroundings: dg.ResourceParam[Surroundings]) -> dg.MaterializeResult[Any]:
    """Copies the working file, drops what is not for analysts, verifies, renames; writes the lake, if one is set."""
    settings = surroundings.settings()
    with surroundings.warehouse() as warehouse:
        size = publish(warehouse, settings.warehouse_path, settings.published_path)
        lake = Lake(settings.lake_url) if settings.lake_url else None
        kept = {"lake": keep(warehouse, lake, settings.lake_lock_path).name} if lake else {}
    path = dg.MetadataValue.path(str(settings.published_path))
    return dg.MaterializeResult(metadata={"path": path, "bytes": size, **kept})
