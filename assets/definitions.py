"""Assembly only."""

import dagster as dg

from assets.alerts import alerts
from assets.automation import (
    intraday,
    intraday_5_min,
    month_close,
    month_close_day_5,
    nightly,
    nightly_02_utc,
    weekly_reread,
)
from assets.checks import identities, issued_documents_unchanged
from assets.extraction import extraction_assets
from assets.freshness import kept_fresh
from assets.history import old_runs
from assets.intraday import land_intraday, load_intraday
from assets.invoices import close_month
from assets.liveness import dead_runs
from assets.maintenance import rebuild
from assets.models import models, records
from assets.operations import operations
from assets.prices import prices
from assets.provisioning import provision_pending, provision_tenant, registration_inbox
from assets.publishing import published
from assets.reports import reports
from assets.resources import Surroundings, for_runs
from assets.spreading import connections_02_utc, land_connection, night_after_connections


def definitions(surroundings: Surroundings) -> dg.Definitions:
    """Everything there is, over the given surroundings."""
    return dg.Definitions(
        assets=kept_fresh(
            [
                prices,
                operations,
                *extraction_assets(),
                models,
                *records,
                close_month,
                published,
                reports,
                land_intraday,
                load_intraday,
            ]
        ),
        asset_checks=[identities, issued_documents_unchanged],
        jobs=[nightly, intraday, month_close, provision_tenant, provision_pending, rebuild, land_connection],
        schedules=[nightly_02_utc, intraday_5_min, weekly_reread, month_close_day_5, connections_02_utc],
        sensors=[dead_runs, old_runs, registration_inbox, alerts, night_after_connections],
        resources={"surroundings": for_runs(surroundings)},
    )


defs = definitions(Surroundings())
