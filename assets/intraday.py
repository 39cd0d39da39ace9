"""The running day: minutes of usage and live counters, read every five minutes, priced and published apart.

One step talks to the providers, another loads, builds and publishes. The night goes first: where another process is
writing the warehouse, that step leaves what was landed for the next run and says so.
"""

import logging
from collections.abc import Iterator
from typing import Any

import dagster as dg

from assets.extraction import LANDED_WHOLE, OWNERS, key_of, landing_key, landing_results
from assets.loading import load_pending, raise_failures
from assets.models import model_spec
from assets.resources import Surroundings
from assets.tables import asset_key, column_schema
from tokenboard_etl.connections import connections
from tokenboard_etl.errors import LoadRefused, WarehouseBusy
from tokenboard_etl.extraction import LIVE, Undertaking, extract_all
from tokenboard_etl.intraday import refresh
from tokenboard_etl.periods import ONE_DAY, Window, utc_day
from tokenboard_etl.stopping import run_until_stopped
from tokenboard_etl.warehouse.catalog import catalog
from tokenboard_etl.warehouse.load import raw_table
from tokenboard_etl.warehouse.publish import INTRADAY
from tokenboard_etl.warehouse.sql_files import read_sql

log = logging.getLogger("tokenboard.intraday")

PUBLISHED_INTRADAY = dg.AssetKey(["published", "intraday"])
_LANDINGS = {landing_key(report.provider, report.name): report for report in LIVE}
_TABLES = {raw_table(report.provider, report.name): report for report in LIVE}


@dg.multi_asset(
    name="land_intraday",
    specs=[
        dg.AssetSpec(
            key,
            group_name="landing",
            kinds={report.provider, "http"},
            owners=OWNERS,
            description=f"Pages of {report.provider}'s `{report.name}` report, byte for byte, of the last minutes.",
        )
        for key, report in _LANDINGS.items()
    ],
    check_specs=[
        dg.AssetCheckSpec(LANDED_WHOLE, asset=key, description="Every connection's report was read to its end.")
        for key in _LANDINGS
    ],
)
def land_intraday(
    context: dg.AssetExecutionContext, surroundings: dg.ResourceParam[Surroundings]
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    """Reads on from where the last read ended."""
    settings = surroundings.settings()
    today = utc_day(settings.now)
    window = Window.of_days(today - ONE_DAY, today)  # no read reaches further back
    about = Undertaking(window, settings.landing_path, lambda: settings.now, context.run.run_id)
    outcomes = run_until_stopped(extract_all(connections(settings), LIVE, about))
    for key in _LANDINGS:
        yield from landing_results(key, window, [each for each in outcomes if key_of(each) == key])


@dg.multi_asset(
    name="load_intraday",
    specs=[
        *(
            dg.AssetSpec(
                asset_key(table),
                deps=[landing_key(report.provider, report.name)],
                group_name="raw",
                kinds={"duckdb", "table"},
                owners=OWNERS,
                description=f"Rows of `{table.partition('.')[2]}`, exact, until the real cost of their days is there.",
                metadata={"dagster/table_name": table, "dagster/column_schema": column_schema(catalog()[table])},
                skippable=True,
            )
            for table, report in _TABLES.items()
        ),
        model_spec(read_sql(INTRADAY)).replace_attributes(skippable=True),
        dg.AssetSpec(
            PUBLISHED_INTRADAY,
            deps=[asset_key(INTRADAY)],
            group_name="published",
            kinds={"duckdb", "file"},
            owners=OWNERS,
            description="published/intraday.duckdb: usage.intraday alone, put in place with one rename.",
            skippable=True,
        ),
    ],
)
def load_intraday(surroundings: dg.ResourceParam[Surroundings]) -> Iterator[dg.MaterializeResult[Any]]:
    """Loads, drops what real costs replaced, estimates, publishes; then fails with what could not be read or loaded."""
    settings, refused = surroundings.settings(), None
    loaded = dict[str, list[int]]()
    try:
        with surroundings.warehouse(wait_seconds=0) as warehouse:
            for table, report in _TABLES.items():
                try:
                    loaded[table] = load_pending(warehouse, settings, report.provider, [report.name])[report.name]
                except LoadRefused as refusal:
                    refused = refusal
            rows = refresh(warehouse, settings)
    except WarehouseBusy as busy:
        log.info("%s The minutes read now are loaded by the next run.", busy)
        return
    for table, counts in loaded.items():
        metadata = {"loads": len(counts), "rows_loaded": sum(counts)}
        yield dg.MaterializeResult(asset_key=asset_key(table), metadata=metadata)
    yield dg.MaterializeResult(asset_key=asset_key(INTRADAY), metadata={"dagster/row_count": rows})
    yield dg.MaterializeResult(
        asset_key=PUBLISHED_INTRADAY,
        metadata={
            "path": dg.MetadataValue.path(str(settings.intraday_path)),
            "bytes": settings.intraday_path.stat().st_size,
        },
    )
    raise_failures(settings, connections(settings), [report.name for report in LIVE])
    if refused:
        raise refused
