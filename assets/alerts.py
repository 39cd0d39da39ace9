"""Tells a webhook what somebody wants to hear of: runs that failed, budgets, unallocated spend. Each once."""

import json
import logging
from collections.abc import Sequence

import dagster as dg

from tokenboard_etl.alerts import Event, run_failed, send, standing_events
from tokenboard_etl.errors import WarehouseError
from tokenboard_etl.settings import load_settings

log = logging.getLogger("tokenboard.alerts")

EVERY_SECONDS = 60
_NEWEST_RUNS = 50


@dg.sensor(
    minimum_interval_seconds=EVERY_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells TOKENBOARD_ALERT_WEBHOOK of failed runs, budget thresholds and unallocated spend; off without.",
)
def alerts(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """The cursor holds the ids of what was told and still is so; it moves on once the webhook has taken the message."""
    settings = load_settings()
    if settings.alert_webhook is None:
        return dg.SkipReason("TOKENBOARD_ALERT_WEBHOOK is not set.")
    told: dict[str, list[str]] = json.loads(context.cursor or "{}")
    failed = _failed_runs(context.instance)
    try:
        standing: Sequence[Event] | None = standing_events(settings.published_path)
    except WarehouseError as error:
        log.warning("budgets and unallocated spend are not looked at: %s", error)
        standing = None
    runs_told = told.get("runs", [event.id for event in failed])  # what failed before alerts were on is known
    standing_told = told.get("standing", [])
    news = [event for event in failed if event.id not in runs_told]
    news += [event for event in standing or () if event.id not in standing_told]
    if news:
        send(settings.alert_webhook, news)
    still = standing_told if standing is None else [event.id for event in standing]
    context.update_cursor(json.dumps({"runs": [event.id for event in failed], "standing": still}))
    return dg.SkipReason(f"Told {len(news)} event(s)." if news else "Nothing new.")


def _failed_runs(instance: dg.DagsterInstance) -> list[Event]:
    """The newest ones, the oldest of them first."""
    failed = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE])
    records = instance.get_run_records(failed, limit=_NEWEST_RUNS)
    return [run_failed(record.dagster_run.job_name, record.dagster_run.run_id) for record in reversed(records)]
