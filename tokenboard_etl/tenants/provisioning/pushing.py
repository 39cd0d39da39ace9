"""Pushed budgets become hard limits at the providers: what billing.budget_limits wants and does not find there."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import duckdb

from tokenboard_etl.errors import KeyRefused, ProviderError, ProvisioningPending
from tokenboard_etl.money import to_minor
from tokenboard_etl.providers import openai_limits, openrouter_changes
from tokenboard_etl.settings import Settings
from tokenboard_etl.stopping import run_until_stopped
from tokenboard_etl.tenants.audit import Audit
from tokenboard_etl.tenants.provisioning.exchange import Exchange, may_have_happened, words_of
from tokenboard_etl.tenants.provisioning.orders import change_order, orders
from tokenboard_etl.tenants.provisioning.run import exchanges
from tokenboard_etl.warehouse.connection import transaction

log = logging.getLogger("tokenboard.budgets")

_ACTION = "push budget"


@dataclass(frozen=True)
class Wanted:
    """A limit that is to be set, in USD of cost a month. `actual_usd` is the one last read there; None is none."""

    tenant_id: str
    provider: str
    connection_id: str
    account_id: str
    wanted_usd: Decimal
    actual_usd: Decimal | None


def limits_to_push(warehouse: duckdb.DuckDBPyConnection, tenant_id: str | None = None) -> list[Wanted]:
    """Limits that are not set, or differ, as of the models; of all tenants or of one."""
    rows = warehouse.execute(
        """
        SELECT tenant_id, provider, connection_id, account_id, wanted_usd, actual_usd
        FROM billing.budget_limits
        WHERE state IN ('not set', 'differs') AND ($1 IS NULL OR tenant_id = $1)
        ORDER BY tenant_id, provider, account_id
        """,
        [tenant_id],
    ).fetchall()
    return [Wanted(*row) for row in rows]


def push(warehouse: duckdb.DuckDBPyConnection, settings: Settings, wanted: Sequence[Wanted]) -> list[str]:
    """Sets each limit, on record before and after; returns why those are not set that could not be.

    Setting a limit twice sets it once, so whatever was interrupted is pushed again.
    """
    return run_until_stopped(_push_all(warehouse, settings, wanted))


async def push_through(
    known: Mapping[str, Exchange], warehouse: duckdb.DuckDBPyConnection, settings: Settings, wanted: Sequence[Wanted]
) -> list[str]:
    """The same through exchanges that are open, by connection id."""
    failures = list[str]()
    for each in wanted:
        try:
            await _push_one(warehouse, settings, known, each)
        except (ProviderError, KeyRefused, ProvisioningPending) as error:
            failures.append(f"{each.tenant_id} at {each.provider}: {words_of(error)}")
            log.warning("the budget of %s", failures[-1])
    return failures


async def _push_all(warehouse: duckdb.DuckDBPyConnection, settings: Settings, wanted: Sequence[Wanted]) -> list[str]:
    async with exchanges(settings) as known:
        return await push_through(known, warehouse, settings, wanted)


async def _push_one(
    warehouse: duckdb.DuckDBPyConnection, settings: Settings, known: Mapping[str, Exchange], each: Wanted
) -> None:
    exchange = known.get(each.connection_id)
    if exchange is None:
        raise ProvisioningPending(f"the connection {each.connection_id} is not configured")
    audit = Audit(warehouse, lambda: settings.now)
    number = audit.begin(
        each.tenant_id,
        each.provider,
        _ACTION,
        connection_id=exchange.connection_id,
        subject=f"{each.wanted_usd:.2f} USD a month",
        object_id=each.account_id,
    )
    try:
        if each.provider == "openai":
            cents = to_minor(each.wanted_usd, "USD")
            await openai_limits.set_spend_limit(exchange.fetch, each.account_id, cents)
        else:
            await openrouter_changes.set_limit(exchange.fetch, each.account_id, each.wanted_usd.normalize())
    except (ProviderError, KeyRefused) as error:
        result = "lost" if may_have_happened(error) else "failed"
        with transaction(warehouse):
            audit.end(number, result, request_id=exchange.request_id, detail=words_of(error))
        raise
    with transaction(warehouse):
        audit.end(number, "done", request_id=exchange.request_id)
        audit.settle(each.tenant_id, each.provider, action=_ACTION, object_id=each.account_id)
        for order in orders(warehouse, each.tenant_id):
            if order.provider == each.provider:  # lest the next rotation puts the earlier limit back
                change_order(warehouse, order, settings.now, limit_usd=each.wanted_usd)
    log.info("%s at %s: %.2f USD a month", each.tenant_id, each.provider, each.wanted_usd)
