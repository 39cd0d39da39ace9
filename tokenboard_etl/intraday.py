"""The running day, kept current: what real costs replaced is dropped, the rest is estimated and published apart."""

from __future__ import annotations

import duckdb

from tokenboard_etl.billing.margins import record_default_margins
from tokenboard_etl.billing.price_book import record_bundled_prices
from tokenboard_etl.retention import drop_replaced
from tokenboard_etl.settings import Settings
from tokenboard_etl.tenants.known_connections import record_connections
from tokenboard_etl.warehouse.models import build_table
from tokenboard_etl.warehouse.publish import INTRADAY, publish_table


def refresh(connection: duckdb.DuckDBPyConnection, settings: Settings) -> int:
    """Builds usage.intraday and publishes it; returns its rows. Nothing else is built or published."""
    record_connections(connection, settings)
    record_default_margins(connection, settings.default_multipliers, settings.now)
    record_bundled_prices(connection, settings.now)
    drop_replaced(connection, settings.landing_path)
    rows = build_table(connection, INTRADAY)
    publish_table(connection, INTRADAY, settings.intraday_path)
    return rows
