"""Assembly only."""

import dagster as dg

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
from assets.intraday import land_intraday, load_intraday
from assets.invoices import close_month
from assets.maintenance import rebuild
from assets.models import models, records
from assets.operations import operations
from assets.prices import prices
from assets.provisioning import provision_pending, provision_tenant
from assets.publishing import published
from assets.resources import Surroundings


def definitions(surroundings: Surroundings) -> dg.Definitions:
    """Everything there is, over the given surroundings."""
    return dg.Definitions(
        assets=[
            prices,
            operations,
            *extraction_assets(),
            models,
            *records,
            close_month,
            published,
            land_intraday,
            load_intraday,
        ],
        asset_checks=[identities, issued_documents_unchanged],
        jobs=[nightly, intraday, month_close, provision_tenant, provision_pending, rebuild],
        schedules=[nightly_02_utc, intraday_5_min, weekly_reread, month_close_day_5],
        resources={"surroundings": surroundings},
    )


defs = definitions(Surroundings())
