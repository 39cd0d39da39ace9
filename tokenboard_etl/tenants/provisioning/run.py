"""What is pending for a tenant, provider by provider. One that fails or is not configured keeps no other waiting."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import duckdb

from tokenboard_etl.billing.policy_file import load_policy
from tokenboard_etl.connections import connections
from tokenboard_etl.errors import KeyRefused, ProviderError, ProviderUnavailable, ProvisioningPending, RegistryError
from tokenboard_etl.periods import utc_day
from tokenboard_etl.settings import Settings
from tokenboard_etl.stopping import run_until_stopped
from tokenboard_etl.tenants.key_ring import KeyRing
from tokenboard_etl.tenants.provisioning.ending import offboard, suspend
from tokenboard_etl.tenants.provisioning.exchange import Exchange, Sleep, words_of
from tokenboard_etl.tenants.provisioning.last_reading import take_last_reading
from tokenboard_etl.tenants.provisioning.means import Means
from tokenboard_etl.tenants.provisioning.openai import OpenAISaga
from tokenboard_etl.tenants.provisioning.openrouter import OpenRouterSaga
from tokenboard_etl.tenants.provisioning.orders import PENDING, READY, Order, change_order, orders, stay_pending
from tokenboard_etl.tenants.provisioning.saga import Saga
from tokenboard_etl.tenants.provisioning.standing import bound_accounts, has_open_actions
from tokenboard_etl.tenants.registry import ACTIVE, OFFBOARDED, SUSPENDED, Tenant, tenants
from tokenboard_etl.tenants.vault import read_vault
from tokenboard_etl.warehouse.connection import open_warehouse

log = logging.getLogger("tokenboard.provisioning")

SHOWN = 3
"""Pending orders a message names."""

_SAGAS: Mapping[str, type[Saga]] = {"openai": OpenAISaga, "openrouter": OpenRouterSaga}
_KEYS = {"openai": "OPENAI_ADMIN_KEY", "openrouter": "OPENROUTER_MANAGEMENT_KEY"}


def require_vault(settings: Settings) -> KeyRing:
    """The key ring, if a key could be stored now; else the error says what is wrong, before any provider is asked."""
    ring = KeyRing(settings.encryption_keys)
    ring.require()
    if settings.vault_path.exists():
        with read_vault(settings.vault_path, ring) as vault:
            ring.require(*(secret.key_fingerprint for secret in vault.secrets()))
    return ring


@asynccontextmanager
async def exchanges(settings: Settings, sleep: Sleep = asyncio.sleep) -> AsyncIterator[dict[str, Exchange]]:
    """An exchange for each organization and account of ours by its connection id, those of the environment first."""
    async with AsyncExitStack() as stack:
        opened = {}
        for connection in connections(settings):
            if connection.tenant_id is None:
                client = await stack.enter_async_context(connection.client())
                opened[connection.connection_id] = Exchange(
                    connection.connection_id, connection.provider, client.send, sleep
                )
        yield opened


def complete(settings: Settings, tenant_ids: Sequence[str] | None = None) -> list[Order]:
    """Completes what is pending for these tenants, or for all; returns what is pending still.

    The warehouse is free for others between two tenants.
    """
    require_vault(settings)
    with open_warehouse(settings.warehouse_path) as warehouse:
        pending = {order.tenant_id: None for order in orders(warehouse, state=PENDING)}
    wanted = [each for each in pending if tenant_ids is None or each in tenant_ids]
    return run_until_stopped(_complete_all(settings, wanted))


def refuse_pending(pending: Sequence[Order]) -> None:
    """Raises ProvisioningPending naming the first of these orders and why."""
    if not pending:
        return
    shown = "; ".join(f"{order.tenant_id} at {order.provider}: {order.reason}" for order in pending[:SHOWN])
    more = f"; and {len(pending) - SHOWN} more" if len(pending) > SHOWN else ""
    raise ProvisioningPending(f"Still pending: {shown}{more}. `tokenboard provision --pending` goes on from there.")


async def _complete_all(settings: Settings, tenant_ids: Sequence[str]) -> list[Order]:
    still = list[Order]()
    async with exchanges(settings) as known:
        provisioning = Provisioning(settings, known)
        for number, tenant_id in enumerate(tenant_ids, start=1):
            log.info("provisioning %s (%d of %d)", tenant_id, number, len(tenant_ids))
            with open_warehouse(settings.warehouse_path) as warehouse:
                after = await provisioning.provision(warehouse, tenant_id)
            still += [order for order in after if order.state == PENDING]
    return still


class Provisioning:
    """Provisions one tenant after the other. A key that a provider refused for one is not tried for the next.

    Nor is a provider that gave no answer for two in a row; for one alone, the cause may be that tenant's.
    """

    def __init__(self, settings: Settings, known: Mapping[str, Exchange]) -> None:
        self._settings, self._known = settings, known
        self._given_up = dict[str, str]()
        self._unanswered = set[str]()

    async def provision(self, warehouse: duckdb.DuckDBPyConnection, tenant_id: str) -> list[Order]:
        """Completes what is pending for a tenant; returns its orders as they are then.

        Raises errors of the vault and of this machine's disk; what a provider does to one order stays with that order.
        """
        ring = require_vault(self._settings)
        tenant = next(each for each in tenants(warehouse) if each.tenant_id == tenant_id)
        recipient = load_policy(self._settings).policy.operator_email or tenant.billing_email
        alerts_to = (recipient,) if recipient else ()
        means = Means(warehouse, self._settings.vault_path, ring, lambda: self._settings.now, alerts_to)
        for order in orders(warehouse, tenant_id, PENDING):
            try:
                await self._complete(means, tenant, order)
                self._unanswered.discard(order.provider)
                log.info("%s has what it is to have at %s", tenant_id, order.provider)
            except (ProviderError, KeyRefused, ProvisioningPending, RegistryError) as error:
                no_answer = isinstance(error, ProviderUnavailable)
                if isinstance(error, KeyRefused) or (no_answer and order.provider in self._unanswered):
                    self._given_up[order.provider] = words_of(error)
                if no_answer:
                    self._unanswered.add(order.provider)
                left = next(each for each in orders(warehouse, tenant_id) if each.provider == order.provider)
                stay_pending(warehouse, left, words_of(error), means.now())
                log.warning("%s stays pending at %s: %s", tenant_id, order.provider, words_of(error))
        return orders(warehouse, tenant_id)

    async def _complete(self, means: Means, tenant: Tenant, order: Order) -> None:
        begun = order.connection_id or bound_accounts(means.warehouse, order, utc_day(means.now()))
        if tenant.status != ACTIVE and not begun and not has_open_actions(means.warehouse, order):
            change_order(means.warehouse, order, means.now(), state=READY, reason=None)  # there is nothing to stop
            return
        if order.provider in self._given_up:
            raise ProvisioningPending(self._given_up[order.provider])
        saga = _SAGAS[order.provider](means, tenant, order, self._exchange(order))
        if tenant.status == SUSPENDED:
            await suspend(saga)
        elif tenant.status == OFFBOARDED:
            await take_last_reading(self._settings, saga)
            await offboard(saga)
        else:
            await saga.run()

    def _exchange(self, order: Order) -> Exchange:
        """The one the order was begun with, or the provider's first."""
        if order.connection_id is None:
            found = next((each for each in self._known.values() if each.provider == order.provider), None)
        else:
            found = self._known.get(order.connection_id)
        if found is None:
            which = f"the connection {order.connection_id}" if order.connection_id else order.provider
            raise ProvisioningPending(f"{which} is not configured ({_KEYS[order.provider]} is not set)")
        return found
