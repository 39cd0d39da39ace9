"""What a provider says of an account one last time before it is closed, landed and loaded like every night's."""

from __future__ import annotations

from tokenboard_etl.connections import connections
from tokenboard_etl.errors import LoadRefused, ProvisioningPending
from tokenboard_etl.extraction import REPORTS, Failure, Undertaking, extract_all
from tokenboard_etl.landing import Landing
from tokenboard_etl.periods import Window, lookback_window, utc_day
from tokenboard_etl.providers.answers import Answers
from tokenboard_etl.rereads import READ_TOGETHER
from tokenboard_etl.settings import Settings
from tokenboard_etl.tenants.provisioning.saga import Saga
from tokenboard_etl.warehouse.connection import transaction
from tokenboard_etl.warehouse.load import load_landing

ACTION = "take last reading"

_NAMES = {"openai": "projects", "openrouter": "keys"}
"""The list that says what accounts are called and how far their counters have come."""


async def take_last_reading(settings: Settings, saga: Saga) -> None:
    """Reads lists, costs and control totals of the saga's connection, once; raises ProvisioningPending if it cannot.

    The running day is not in it: it is read by the nights that follow, since closed accounts stay in the costs.
    """
    order, warehouse = saga.order, saga.means.warehouse
    ((done,),) = warehouse.execute(
        """
        SELECT count(*) FROM registry.audit
        WHERE tenant_id = $1 AND provider = $2 AND action = $3 AND result = 'done'
        """,
        [order.tenant_id, order.provider, ACTION],
    ).fetchall()
    if done:
        return
    days = lookback_window(utc_day(settings.now), settings.lookback_days)
    number = saga.audit.begin(
        order.tenant_id, order.provider, ACTION, connection_id=saga.exchange.connection_id, subject=str(days)
    )
    try:
        for landing in await _landings(settings, saga, days):
            load_landing(warehouse, landing, settings.settle_time, None, Answers(order.provider))
    except (LoadRefused, ProvisioningPending) as error:
        with transaction(warehouse):
            saga.audit.end(number, "failed", detail=str(error))
        raise ProvisioningPending(f"its last figures could not be read, so nothing was closed: {error}") from error
    with transaction(warehouse):
        saga.audit.end(number, "done")


async def _landings(settings: Settings, saga: Saga, days: Window) -> list[Landing]:
    provider, today = saga.order.provider, utc_day(settings.now)
    connection = next(each for each in connections(settings) if each.connection_id == saga.exchange.connection_id)
    landed = list[Landing]()
    together = [name for name in READ_TOGETHER[provider] if name != _NAMES[provider]]
    for names, window in (([_NAMES[provider]], Window.of_days(today, today)), (together, days)):
        about = Undertaking(window, settings.landing_path, lambda: settings.now)
        for outcome in await extract_all([connection], [REPORTS[provider, name] for name in names], about):
            if isinstance(outcome, Failure):
                raise ProvisioningPending(str(outcome.error))
            landed.append(outcome)
    return landed
