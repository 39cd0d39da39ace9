"""Landing and raw assets: one pair per provider and report.

`landing/<provider>_<report>` talks to the provider and needs no warehouse; `raw/<provider>_<report>` loads every
complete landing that is not loaded yet and needs no network.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import dagster as dg

from assets.partitions import daily, window_of
from assets.resources import Surroundings
from assets.tables import column_schema
from tokenboard_etl.connections import connections
from tokenboard_etl.errors import LoadRefused, TokenboardError
from tokenboard_etl.extraction import REPORTS, SNAPSHOTS, extract
from tokenboard_etl.landing import complete_landings
from tokenboard_etl.periods import Window, utc_day
from tokenboard_etl.warehouse.catalog import catalog
from tokenboard_etl.warehouse.load import load_landing, loaded_ids, raw_table

OWNERS = ["team:data"]
ACCEPT_COLLAPSE = "tokenboard/accept_collapse"
"""Run tag: the reason why settled figures that collapsed are right."""


def landing_key(provider: str, report: str) -> dg.AssetKey:
    return dg.AssetKey(["landing", f"{provider}_{report}"])


def landing_asset(provider: str, report: str) -> dg.AssetsDefinition:
    """Reads a report of every connection of a provider; one that fails does not keep the others from being read."""
    first = REPORTS[provider][0]

    @dg.asset(
        key=landing_key(provider, report),
        deps=[] if report == first else [landing_key(provider, first)],
        group_name="landing",
        partitions_def=None if report in SNAPSHOTS else daily,
        backfill_policy=None if report in SNAPSHOTS else dg.BackfillPolicy.single_run(),
        kinds={provider, "http"},
        owners=OWNERS,
        description=f"Pages of {provider}'s `{report}` report, byte for byte, for the days asked for.",
    )
    def land(
        context: dg.AssetExecutionContext, surroundings: dg.ResourceParam[Surroundings]
    ) -> dg.MaterializeResult[Any]:
        settings = surroundings.settings()
        today = utc_day(settings.now)
        window = Window.of_days(today, today) if report in SNAPSHOTS else window_of(context)
        landed, failures = [], list[TokenboardError]()
        for connection in connections(settings, provider):
            try:
                landed.append(
                    asyncio.run(extract(connection, report, window, settings.landing_path, lambda: settings.now))
                )
            except TokenboardError as error:
                failures.append(error)
        if failures:
            raise failures[0]
        return dg.MaterializeResult(
            metadata={
                "connections": len(landed),
                "pages": sum(len(landing.pages) for landing in landed),
                "bytes": sum(page.bytes for landing in landed for page in landing.pages),
                "window": str(window),
                "loads": [landing.load_id for landing in landed],
            }
        )

    return land


def raw_asset(provider: str, report: str) -> dg.AssetsDefinition:
    """Loads what was landed, in the order it was read."""
    table = raw_table(provider, report)

    @dg.asset(
        key=dg.AssetKey(table.split(".")),
        deps=[landing_key(provider, report)],
        group_name="raw",
        partitions_def=None if report in SNAPSHOTS else daily,
        backfill_policy=None if report in SNAPSHOTS else dg.BackfillPolicy.single_run(),
        kinds={"duckdb", "table"},
        owners=OWNERS,
        pool="duckdb_writer",
        description=f"Rows of {provider}'s `{report}` report, exact, as of the newest read of each day.",
        metadata={"dagster/table_name": table, "dagster/column_schema": column_schema(catalog()[table])},
    )
    def load(
        context: dg.AssetExecutionContext, surroundings: dg.ResourceParam[Surroundings]
    ) -> dg.MaterializeResult[Any]:
        settings, accepted = surroundings.settings(), context.run.tags.get(ACCEPT_COLLAPSE)
        rows, refusals = list[int](), list[LoadRefused]()
        with surroundings.warehouse() as warehouse:
            for landing in complete_landings(settings.landing_path, provider, report, without=loaded_ids(warehouse)):
                try:
                    rows.append(load_landing(warehouse, landing, settings.settle_time, accepted))
                except LoadRefused as refusal:
                    refusals.append(refusal)
        if refusals:
            raise refusals[0]
        return dg.MaterializeResult(metadata={"loads": len(rows), "rows_loaded": sum(rows)})

    return load


def extraction_assets() -> Sequence[dg.AssetsDefinition]:
    """All pairs."""
    pairs = [(provider, report) for provider, reports in REPORTS.items() for report in reports]
    return [make(*pair) for pair in pairs for make in (landing_asset, raw_asset)]
