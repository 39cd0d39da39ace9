"""UTC days and months. Keys are 2026-11-20 and 2026-10-01."""

from datetime import date

import dagster as dg

from tokenboard_etl.periods import FIRST_DAY, Month, Window

daily = dg.DailyPartitionsDefinition(start_date=str(FIRST_DAY), timezone="UTC")
monthly = dg.MonthlyPartitionsDefinition(start_date=str(FIRST_DAY), timezone="UTC")

PARTITION = "dagster/partition"
RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"


def window_of(context: dg.AssetExecutionContext) -> Window:
    """The days a step was asked for: one partition, or a range in one run."""
    keys = context.partition_keys
    return Window.of_days(date.fromisoformat(min(keys)), date.fromisoformat(max(keys)))


def days_of_run(run: dg.DagsterRun) -> Window | None:
    """The days a run was asked for; None for a run that has none, such as one of snapshots."""
    first = run.tags.get(RANGE_START) or run.tags.get(PARTITION)
    last = run.tags.get(RANGE_END) or run.tags.get(PARTITION)
    return Window.of_days(date.fromisoformat(first), date.fromisoformat(last)) if first and last else None


def month_of(context: dg.AssetExecutionContext) -> Month:
    """The month a step was asked for."""
    return Month.of(date.fromisoformat(context.partition_key))


def range_tags(window: Window) -> dict[str, str]:
    """Run tags that ask for a window in one run."""
    return {RANGE_START: str(window.start), RANGE_END: str(window.last)}
