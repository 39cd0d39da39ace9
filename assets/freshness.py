"""By when figures must be there: Dagster's UI and its alerts turn red where a night or a run of the day was missed."""

from collections.abc import Iterable, Sequence
from datetime import timedelta

import dagster as dg

from assets.automation import NIGHTLY_GROUPS
from assets.intraday import land_intraday, load_intraday
from assets.invoices import DOCUMENTS, ISSUED
from assets.tables import asset_key

BY_SIX = dg.FreshnessPolicy.cron(deadline_cron="0 6 * * *", lower_bound_delta=timedelta(hours=5), timezone="UTC")
"""The night begins at 02:00 UTC: what was not made between 01:00 and 06:00 is of the night before."""

WITHIN_THE_HOUR = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=1), warn_window=timedelta(minutes=20))
"""Three runs of the day may step aside for the night before it is a warning."""

_OF_THE_DAY = land_intraday.keys | load_intraday.keys
_OF_THE_MONTH = {asset_key(table) for table in ISSUED} | {DOCUMENTS}


def kept_fresh(
    assets: Iterable[dg.AssetsDefinition | dg.AssetSpec],
) -> Sequence[dg.AssetsDefinition | dg.AssetSpec]:
    """The same assets, each with the policy of the schedule that makes it."""
    return list(dg.map_asset_specs(_with_policy, assets))


def _with_policy(spec: dg.AssetSpec) -> dg.AssetSpec:
    if spec.key in _OF_THE_DAY:
        return spec.replace_attributes(freshness_policy=WITHIN_THE_HOUR)
    if spec.group_name in NIGHTLY_GROUPS and spec.key not in _OF_THE_MONTH:
        return spec.replace_attributes(freshness_policy=BY_SIX)
    return spec
