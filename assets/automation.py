"""Jobs and schedules. Steps of a job run one after the other in one process: there is one writer."""

from collections.abc import Iterator

import dagster as dg

from assets.intraday import land_intraday, load_intraday
from assets.invoices import DOCUMENTS, ISSUED
from assets.partitions import range_tags
from assets.publishing import PUBLISHED
from assets.reports import REPORTS
from assets.tables import asset_key
from tokenboard_etl.periods import Month, Window, lookback_window, utc_day
from tokenboard_etl.rereads import nightly_days
from tokenboard_etl.settings import load_settings

NIGHTLY_GROUPS = ("policy", "landing", "raw", "staging", "usage", "credits", "ops", "billing", "published", "reports")

REREAD_DAYS = 35
"""More than a month: every day of the month before is read again at least once after it ended."""

MONTH_REREAD_UNTIL_DAY = 14
"""A Sunday lies between the closing on day 5 and this day."""

WHOLE_AGAIN = {"dagster/retry_strategy": "ALL_STEPS"}
"""How Dagster's daemon repeats a run whose process died. Its default would leave out checks that had passed, though
another run may have changed the tables since. What was landed whole is not downloaded again in any case."""

NOT_AGAIN = {"dagster/max_retries": "0"}
"""For runs that the schedule follows up in minutes."""

_intraday = dg.AssetSelection.assets(*land_intraday.keys, *load_intraday.keys)
_issued = dg.AssetSelection.assets(*(asset_key(table) for table in ISSUED), DOCUMENTS)

nightly = dg.define_asset_job(
    "nightly",
    selection=dg.AssetSelection.groups(*NIGHTLY_GROUPS) - _issued - _intraday,
    executor_def=dg.in_process_executor,
    tags=WHOLE_AGAIN,
    description="Extract, land, load, model, check and publish a window of UTC days, and write the reports.",
)

month_close = dg.define_asset_job(
    "month_close",
    selection=_issued | dg.AssetSelection.assets(PUBLISHED, *REPORTS),
    executor_def=dg.in_process_executor,
    tags=WHOLE_AGAIN,
    description="Issue the invoices of a month, write the documents, publish, write the reports.",
)


intraday = dg.define_asset_job(
    "intraday",
    selection=_intraday - dg.AssetSelection.checks_for_assets(*load_intraday.keys),
    executor_def=dg.in_process_executor,
    tags=NOT_AGAIN,
    description="Read the last minutes of usage, estimate them and publish them apart.",
)

UNDER_WAY = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)


@dg.schedule(job=intraday, cron_schedule="*/5 * * * *", execution_timezone="UTC")
def intraday_5_min(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """The last minutes, unless the run before is still at it: the next one then reads on from there."""
    under_way = dg.RunsFilter(job_name=intraday.name, statuses=list(UNDER_WAY))
    if context.instance.get_runs(under_way, limit=1):
        yield dg.SkipReason("The intraday run before has not ended yet.")
    else:
        yield dg.RunRequest(run_key=context.scheduled_execution_time.isoformat())


@dg.schedule(job=nightly, cron_schedule="0 2 * * *", execution_timezone="UTC")
def nightly_02_utc(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """Yesterday, the days before it that providers may still restate, and those that earlier nights left behind."""
    window = nightly_days(load_settings(), utc_day(context.scheduled_execution_time))
    yield dg.RunRequest(run_key=str(window.last), tags=range_tags(window))


@dg.schedule(job=nightly, cron_schedule="0 4 * * 0", execution_timezone="UTC")
def weekly_reread(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """The last 35 days once more, for what providers restate later than anybody expects.

    In the first half of a month all of the month before, so that it is read once more after it was closed.
    """
    today = utc_day(context.scheduled_execution_time)
    window = lookback_window(today, REREAD_DAYS - 1)
    if today.day <= MONTH_REREAD_UNTIL_DAY:
        window = Window(min(window.start, Month.of(today).previous().first), window.end)
    yield dg.RunRequest(run_key=f"reread {window.last}", tags=range_tags(window))


@dg.schedule(job=month_close, cron_schedule="0 6 5 * *", execution_timezone="UTC")
def month_close_day_5(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """The month before, once all of it has settled."""
    month = Month.of(utc_day(context.scheduled_execution_time)).previous()
    yield dg.RunRequest(run_key=str(month), partition_key=str(month.first))
