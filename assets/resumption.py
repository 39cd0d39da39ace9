"""Which earlier runs a run goes on from: what those landed whole is not downloaded again."""

import dagster as dg
from dagster._core.storage.tags import RUN_FAILURE_REASON_TAG

from assets.partitions import PARTITION, RANGE_END, RANGE_START

_KILLED = (
    dg.DagsterRunStatus.NOT_STARTED,  # recorded, and killed in the moment before it started
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELED,
)
NIGHT = "tokenboard/night"
"""Run tag: the days of a night whose connections were landed by runs of their own, first/last (assets/spreading.py)."""

LANDING_JOB = "land_connection"

_WORK = (RANGE_START, RANGE_END, PARTITION, NIGHT)
_AT_MOST = 200
"""Runs looked back on; more interruptions in a row begin anew."""


COULD_NOT_LAND = "tokenboard/could_not_land"
"""Run tag: the run ended because a report could not be read. The notes beside the landings go as soon as one is."""

_STEP_FAILED = "STEP_FAILURE"


def interrupted_runs(context: dg.AssetExecutionContext | dg.OpExecutionContext) -> frozenset[str]:
    """The run itself, and those of the same job and days right before it that were killed or could not land a report.

    A run that ended otherwise ends the chain: after a refused load or a failed check the providers are asked anew.
    A night also goes on from the runs that landed its connections.
    """
    tags = {name: context.run.tags[name] for name in _WORK if name in context.run.tags}
    chain = [context.run.run_id]
    for record in context.instance.get_run_records(
        dg.RunsFilter(job_name=context.run.job_name, tags=tags), limit=_AT_MOST
    ):
        run = record.dagster_run
        if run.run_id == context.run.run_id:
            continue
        if not _was_killed(run) and COULD_NOT_LAND not in run.tags:
            break
        chain.append(run.run_id)
    night = context.run.tags.get(NIGHT)
    if night and context.run.job_name != LANDING_JOB:
        landed = context.instance.get_runs(dg.RunsFilter(job_name=LANDING_JOB, tags={NIGHT: night}))
        chain += [run.run_id for run in landed]
    return frozenset(chain)


def _was_killed(run: dg.DagsterRun) -> bool:
    """Whether no step of it said why it ended: a run that was found dead is failed without one."""
    if run.status is dg.DagsterRunStatus.FAILURE:
        return run.tags.get(RUN_FAILURE_REASON_TAG) != _STEP_FAILED
    return run.status in _KILLED
