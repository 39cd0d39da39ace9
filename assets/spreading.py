"""The night of many accounts: a run lands each connection, wherever the run launcher puts it, then one run loads them.

Reading providers is the longest part of a large night and needs no warehouse, so it may happen in many places at once;
loading has one writer. The night's own run finds what the others landed and downloads only what they could not.
"""

from collections.abc import Iterator
from datetime import date

import dagster as dg

from assets.automation import UNDER_WAY, nightly
from assets.extraction import landed_of
from assets.partitions import PARTITION, range_tags
from assets.resources import Surroundings
from assets.resumption import COULD_NOT_LAND, LANDING_JOB, NIGHT, interrupted_runs
from tokenboard_etl.connections import accounts
from tokenboard_etl.errors import WrongUse
from tokenboard_etl.extraction import Failure, Undertaking, extract_all, reports_of
from tokenboard_etl.periods import Window, lookback_window, utc_day
from tokenboard_etl.settings import load_settings
from tokenboard_etl.stopping import run_until_stopped

CONNECTIONS = dg.DynamicPartitionsDefinition(name="connection")
OF = "tokenboard/connections"
"""Run tag: how many connections the night has, so that it does not begin before each of them had its run."""


@dg.op(description="Lands every report of one connection: as of now, and for the night's days.")
def land_reports(context: dg.OpExecutionContext, surroundings: dg.ResourceParam[Surroundings]) -> None:
    settings = surroundings.settings()
    connection = next((each for each in accounts(settings) if each.connection_id == context.partition_key), None)
    if connection is None:
        raise WrongUse(f"There is no connection {context.partition_key}; `tokenboard doctor` names them.")
    today = utc_day(settings.now)
    night = context.run.tags.get(NIGHT)
    days = _window_of(night) if night else lookback_window(today, settings.lookback_days)
    continues, outcomes = interrupted_runs(context), []
    for snapshots, window in ((True, Window.of_days(today, today)), (False, days)):
        about = Undertaking(window, settings.landing_path, lambda: settings.now, context.run.run_id, continues)
        reports = reports_of(connection.provider, snapshots=snapshots)
        outcomes += run_until_stopped(extract_all([connection], reports, about))
    failed = [each.error for each in outcomes if isinstance(each, Failure)]
    context.add_output_metadata({**landed_of(outcomes), "window": str(days)})
    if failed:
        context.instance.add_run_tags(context.run.run_id, {COULD_NOT_LAND: "true"})
        raise failed[0]


@dg.job(
    name=LANDING_JOB,
    partitions_def=CONNECTIONS,
    executor_def=dg.in_process_executor,
    description="Land one connection for a night, without the warehouse.",
)
def land_connection() -> None:
    land_reports()


@dg.schedule(job=land_connection, cron_schedule="0 2 * * *", execution_timezone="UTC")
def connections_02_utc(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
    """A run per connection for the days `nightly_02_utc` would read: instead of it, where there are many accounts."""
    settings = load_settings()
    window = lookback_window(utc_day(context.scheduled_execution_time), settings.lookback_days)
    names = [each.connection_id for each in accounts(settings)]
    context.instance.add_dynamic_partitions(str(CONNECTIONS.name), names)
    for name in names:
        tags = {NIGHT: _night_of(window), OF: str(len(names))}
        yield dg.RunRequest(run_key=f"{window.last} {name}", partition_key=name, tags=tags)


@dg.sensor(job=nightly, minimum_interval_seconds=30)
def night_after_connections(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """The night, once every connection's run has ended, however it did: what is missing the night reads itself."""
    newest = context.instance.get_runs(dg.RunsFilter(job_name=LANDING_JOB), limit=1)
    night = newest[0].tags.get(NIGHT) if newest else None
    if night is None:
        return dg.SkipReason("No connection was landed for a night yet.")
    runs = context.instance.get_runs(dg.RunsFilter(job_name=LANDING_JOB, tags={NIGHT: night}))
    begun = {run.tags[PARTITION] for run in runs}
    if len(begun) < int(runs[0].tags.get(OF, 1)) or any(run.status in UNDER_WAY for run in runs):
        return dg.SkipReason(f"The connections of {night} are still being landed.")
    return dg.RunRequest(run_key=night, tags={**range_tags(_window_of(night)), NIGHT: night})


def _night_of(window: Window) -> str:
    return f"{window.start}/{window.last}"


def _window_of(night: str) -> Window:
    return Window.of_days(*map(date.fromisoformat, night.split("/")))
