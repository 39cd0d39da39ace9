"""The price book, read anew at the beginning of a night."""

from typing import Any

import dagster as dg

from assets.resources import Surroundings
from assets.tables import asset_key, column_schema
from tokenboard_etl.billing.price_book import record_bundled_prices, refresh_prices
from tokenboard_etl.warehouse.catalog import catalog
from tokenboard_etl.warehouse.models import row_count

PRICES = "policy.prices"


@dg.asset(
    key=asset_key(PRICES),
    group_name="policy",
    kinds={"duckdb", "table"},
    owners=["team:billing"],
    pool="duckdb_writer",
    description=catalog()[PRICES].comment,
    metadata={"dagster/table_name": PRICES, "dagster/column_schema": column_schema(catalog()[PRICES])},
)
def prices(surroundings: dg.ResourceParam[Surroundings]) -> dg.MaterializeResult[Any]:
    """Records the bundled prices, and those of TOKENBOARD_PRICES_URL; a list that cannot be used is a warning."""
    settings = surroundings.settings()
    with surroundings.warehouse() as warehouse:
        if settings.prices_url is None:
            record_bundled_prices(warehouse, settings.now)
            refreshed = False
        else:
            refreshed = refresh_prices(warehouse, settings.prices_url, settings.now)
        rows = row_count(warehouse, PRICES)
    return dg.MaterializeResult(metadata={"refreshed": refreshed, "dagster/row_count": rows})
