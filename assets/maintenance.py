"""Jobs that are no asset's own: rebuilding everything derived."""

import dagster as dg

from assets.resources import Surroundings
from tokenboard_etl.warehouse.checks import refuse_violations, run_checks
from tokenboard_etl.warehouse.publish import publish
from tokenboard_etl.warehouse.rebuild import rebuild as rebuild_tables


@dg.op(pool="duckdb_writer", description="Rebuilds raw and derived tables from landings, checks them and publishes.")
def rebuild_warehouse(context: dg.OpExecutionContext, surroundings: dg.ResourceParam[Surroundings]) -> None:
    settings = surroundings.settings()
    with surroundings.warehouse() as warehouse:
        rows = rebuild_tables(warehouse, settings.landing_path, settings.now, settings.settle_days)
        refuse_violations(run_checks(warehouse))
        publish(warehouse, settings.warehouse_path, settings.published_path)
    context.add_output_metadata({"tables": len(rows), "rows": sum(rows.values())})


@dg.job(executor_def=dg.in_process_executor, description="Rebuild every derived table from landings, offline.")
def rebuild() -> None:
    rebuild_warehouse()
