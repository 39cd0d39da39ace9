"""A tenant that may not spend any more, for now or for good, at one provider. Either can be run again from anywhere."""

from __future__ import annotations

from tokenboard_etl.errors import ProvisioningPending
from tokenboard_etl.tenants.provisioning.orders import Order, retire_key, usable_keys
from tokenboard_etl.tenants.provisioning.saga import Saga
from tokenboard_etl.warehouse.connection import transaction


async def suspend(saga: Saga) -> Order:
    """Stops every key. What a rotation was about to retire is retired, and what was lost is looked into first."""
    await saga.look_into_lost()
    for key in usable_keys(saga.means.warehouse, saga.order):
        if key.key_id == saga.order.replaces_key_id:
            await saga.drop(key)
    await saga.pause()
    _refuse_elsewhere(saga)
    return saga.finish()


async def offboard(saga: Saga) -> Order:
    """Closes every account of the tenant and forgets its keys; who had what, and what was spent, stays on record."""
    await saga.look_into_lost()
    await saga.close()
    for key in usable_keys(saga.means.warehouse, saga.order):
        saga.forget({key.key_id})
        with transaction(saga.means.warehouse):
            retire_key(saga.means.warehouse, key, saga.means.now())
    _refuse_elsewhere(saga)
    return saga.finish()


def _refuse_elsewhere(saga: Saga) -> None:
    """An order is done with one connection; what the tenant has on another one is for a person to stop."""
    if left := [each for each in saga.elsewhere() if each.is_in_use]:
        where = ", ".join(f"{each.account_id} on {each.connection_id}" for each in left)
        raise ProvisioningPending(
            f"{saga.tenant.tenant_id} can still spend with {where}, out of reach of {saga.exchange.connection_id}. "
            "Stop it at the provider; once a night has seen that, run `tokenboard provision --pending`."
        )
