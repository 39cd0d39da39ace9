"""Jobs and schedules. Steps of a job run one after the other in one process: there is one writer."""

from collections.abc import Iterator

import dagster as dg

from assets.invoices import DOCUMENTS, ISSUED
from assets.partitions import range_tags
from assets.publishing import PUBLISHED
from assets.tables import asset_key
from tokenboard_etl.periods import lookback_window, utc_day
from tokenboard_etl.settings import load_settings

NIGHTLY_GROUPS = ("policy", "landing", "raw", "staging", "usage", "credits", "ops", "billing", "published")

REREAD_DAYS = 35
"""More than a month: every day of the month before is read again at least once after it ended."""

_issued = dg.AssetSelection.assets(*(asset_key(table) for table in ISSUED))

nightly = dg.define_asset_job(
    "nightly",
    selection=dg.AssetSelection.groups(*NIGHTLY_GROUPS) - _issued,
    executor_def=dg.in_process_executor,
    description="Extract, land, load, model, check and publish a window of UTC days.",
)

month_close = dg.define_asset_job(
    "month_close",
    selection=_issued | dg.AssetSelection.assets(DOCUMENTS, PUBLISHED),
    executor_def=dg.in_process_executor,
    description="Issue the invoices of a month, write the documents, publish.",
)


@dg.schedule(job=nightly, cron_schedule="0 2 * * *", execution_timezone="UTC")
def nightly_02_utc(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """Yesterday, and the days before it that providers may still restate."""
    window = lookback_window(utc_day(context.scheduled_execution_time), load_settings().lookback_days)
    yield dg.RunRequest(run_key=str(window.last), tags=range_tags(window))


@dg.schedule(job=nightly, cron_schedule="0 4 * * 0", execution_timezone="UTC")
def weekly_reread(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """The last 35 days once more, for what providers restate later than anybody expects."""
    window = lookback_window(utc_day(context.scheduled_execution_time), REREAD_DAYS - 1)
    yield dg.RunRequest(run_key=f"reread {window.last}", tags=range_tags(window))
