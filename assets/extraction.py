"""Landing and raw assets. Per provider two steps land (snapshots of now; reports by day) and two load.

`landing/<provider>_<report>` talks to the provider and needs no warehouse; `raw/<provider>_<report>` loads every
complete landing that is not loaded yet and needs no network. A report that could not be read fails the check
`landed_whole` and leaves a note; the load takes in all others first and then fails with that note.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from assets.loading import load_pending, raise_failures, read_again_while_moving
from assets.partitions import daily, days_of_run, window_of
from assets.resources import Surroundings
from assets.resumption import COULD_NOT_LAND, interrupted_runs
from assets.tables import asset_key, column_schema
from tokenboard_etl.connections import accounts, connections
from tokenboard_etl.errors import StorageFailed, TokenboardError
from tokenboard_etl.extraction import Failure, Undertaking, extract_all, reports_of
from tokenboard_etl.landing import Landing
from tokenboard_etl.periods import Window, utc_day
from tokenboard_etl.rereads import READ_TOGETHER
from tokenboard_etl.stopping import run_until_stopped
from tokenboard_etl.warehouse.catalog import catalog
from tokenboard_etl.warehouse.load import raw_table

OWNERS = ["team:data"]
ACCEPT_COLLAPSE = "tokenboard/accept_collapse"
"""Run tag: the reason why settled figures that collapsed are right."""

LANDED_WHOLE = "landed_whole"
PROVIDERS = ("openai", "openrouter")


def landing_key(provider: str, report: str) -> dg.AssetKey:
    """Parts of a report (`other_usage.images`) are one asset."""
    return dg.AssetKey(["landing", f"{provider}_{report.partition('.')[0]}"])


def landing_assets(provider: str, *, snapshots: bool) -> dg.AssetsDefinition:
    """Reads reports of every connection of a provider; one that fails does not keep the others from being read."""
    reports = reports_of(provider, snapshots=snapshots)
    keys = list(dict.fromkeys(landing_key(provider, report.name) for report in reports))
    uses = {
        landing_key(provider, report.name): [landing_key(provider, name) for name in report.uses] for report in reports
    }

    @dg.multi_asset(
        name=f"land_{provider}_{'snapshots' if snapshots else 'days'}",
        specs=[
            dg.AssetSpec(
                key,
                deps=uses[key],
                group_name="landing",
                kinds={provider, "http"},
                owners=OWNERS,
                description=f"Pages of {provider}'s `{key.path[-1].partition('_')[2]}` report, byte for byte, "
                + ("as of now." if snapshots else "for the days asked for."),
                partitions_def=None if snapshots else daily,
            )
            for key in keys
        ],
        check_specs=[
            dg.AssetCheckSpec(LANDED_WHOLE, asset=key, description="Every connection's report was read to its end.")
            for key in keys
        ],
        can_subset=True,
        backfill_policy=None if snapshots else dg.BackfillPolicy.single_run(),
    )
    def land(
        context: dg.AssetExecutionContext, surroundings: dg.ResourceParam[Surroundings]
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        settings = surroundings.settings()
        today = utc_day(settings.now)
        window = Window.of_days(today, today) if snapshots else window_of(context)
        wanted = [report for report in reports if landing_key(provider, report.name) in context.selected_asset_keys]
        about = Undertaking(
            window, settings.landing_path, lambda: settings.now, context.run.run_id, interrupted_runs(context)
        )
        outcomes = run_until_stopped(extract_all(accounts(settings, provider), wanted, about))
        for key in keys:
            if key in context.selected_asset_keys:
                yield from landing_results(key, window, [each for each in outcomes if key_of(each) == key])

    return land


def key_of(outcome: Landing | Failure) -> dg.AssetKey:
    """The landing asset an outcome belongs to."""
    if isinstance(outcome, Failure):
        return landing_key(outcome.report.provider, outcome.report.name)
    return landing_key(outcome.provider, outcome.report)


def landing_results(
    key: dg.AssetKey, window: Window, outcomes: Sequence[Landing | Failure]
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    """How one landing asset came out, over all connections."""
    failed = [each for each in outcomes if isinstance(each, Failure)]
    for failure in failed:
        if isinstance(failure.error, StorageFailed):
            raise failure.error  # the note for the load may be missing too
    yield dg.MaterializeResult(asset_key=key, metadata={**landed_of(outcomes), "window": str(window)})
    yield dg.AssetCheckResult(
        asset_key=key,
        check_name=LANDED_WHOLE,
        passed=not failed,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(str(failure.error) for failure in failed) or None,
    )


def landed_of(outcomes: Sequence[Landing | Failure]) -> dict[str, Any]:
    """Outcomes in figures."""
    landed = [each for each in outcomes if isinstance(each, Landing)]
    return {
        "connections": len({landing.connection_id for landing in landed}),
        "failed": len(outcomes) - len(landed),
        "pages": sum(len(landing.pages) for landing in landed),
        "bytes": sum(page.bytes for landing in landed for page in landing.pages),
        "loads": [landing.load_id for landing in landed],
    }


def raw_assets(provider: str, *, snapshots: bool) -> dg.AssetsDefinition:
    """Loads what was landed, in the order it was read."""
    reports = reports_of(provider, snapshots=snapshots)
    tables = {raw_table(provider, report.name): landing_key(provider, report.name) for report in reports}

    @dg.multi_asset(
        name=f"load_{provider}_{'snapshots' if snapshots else 'days'}",
        specs=[
            dg.AssetSpec(
                asset_key(table),
                deps=[landed],
                group_name="raw",
                kinds={"duckdb", "table"},
                owners=OWNERS,
                description=f"Rows of `{table.partition('.')[2]}`, exact, as of the newest read of each day.",
                metadata={"dagster/table_name": table, "dagster/column_schema": column_schema(catalog()[table])},
            )
            for table, landed in tables.items()
        ],
        can_subset=True,
        pool="duckdb_writer",
    )
    def load(
        context: dg.AssetExecutionContext, surroundings: dg.ResourceParam[Surroundings]
    ) -> Iterator[dg.MaterializeResult[Any]]:
        settings, accepted = surroundings.settings(), context.run.tags.get(ACCEPT_COLLAPSE)
        wanted = {
            report.name: asset_key(raw_table(provider, report.name))
            for report in reports
            if asset_key(raw_table(provider, report.name)) in context.selected_asset_keys
        }
        ours = [each for each in connections(settings, provider) if each.tenant_id is None]
        with surroundings.warehouse() as warehouse:
            rows = load_pending(warehouse, settings, provider, wanted, accepted)
            try:
                raise_failures(settings, accounts(settings, provider), wanted)
            except TokenboardError:
                context.instance.add_run_tags(context.run.run_id, {COULD_NOT_LAND: "true"})
                raise
            days = days_of_run(context.run)
            if days and READ_TOGETHER[provider][-1] in wanted:
                for connection in ours:
                    read_again_while_moving(warehouse, settings, connection, days, context.run.run_id)
        for key in dict.fromkeys(wanted.values()):
            loaded = [count for name, counts in rows.items() if wanted[name] == key for count in counts]
            yield dg.MaterializeResult(asset_key=key, metadata={"loads": len(loaded), "rows_loaded": sum(loaded)})

    return load


def extraction_assets() -> Sequence[dg.AssetsDefinition]:
    """Landing and raw, per provider."""
    return [
        make(provider, snapshots=snapshots)
        for provider in PROVIDERS
        for snapshots in (True, False)
        for make in (landing_assets, raw_assets)
    ]
