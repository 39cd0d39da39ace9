"""One tenant at one provider: every change is on record before it is made and after; a lost answer is looked into.

Neither provider knows a request it has seen before, and shows a key once. So the record written before a creation
holds which ids bear the name already. Whatever bears it later and is not among them was made by that request: it is
taken over if its key is in the vault, else it is removed and made anew. A key is in the vault before it is on record.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import date
from functools import partial
from typing import Any, TypeVar

from pydantic import SecretStr

from tokenboard_etl.errors import KeyRefused, ProviderError, ProvisioningPending
from tokenboard_etl.periods import utc_day
from tokenboard_etl.redaction import protect
from tokenboard_etl.tenants.audit import Audit, Unresolved
from tokenboard_etl.tenants.provisioning.exchange import Exchange, may_have_happened, words_of
from tokenboard_etl.tenants.provisioning.means import Found, Means
from tokenboard_etl.tenants.provisioning.orders import (
    READY,
    IssuedKey,
    Order,
    change_order,
    live_key,
    record_key,
    retire_key,
    usable_keys,
)
from tokenboard_etl.tenants.provisioning.standing import Elsewhere, accounts_elsewhere, bound_accounts, is_adopted
from tokenboard_etl.tenants.registry import Binding, Tenant, bind, rerate_open_months
from tokenboard_etl.tenants.tenant_keys import delete_key, read_key, store_key, stored_key_ids
from tokenboard_etl.tenants.vault import change_vault, read_vault
from tokenboard_etl.warehouse.connection import transaction

log = logging.getLogger("tokenboard.provisioning")

ROUNDS = 5
"""How often a key is made anew in one run while its answers are lost."""

LOOKS, LOOK_AGAIN_AFTER_S = 3, 2
"""What a lost request made may not be listed at once."""

T = TypeVar("T")


class Saga(ABC):
    """What both providers share. `run` brings the tenant to what its order says, from wherever it was left."""

    make_key: str
    """How the audit calls the making of a key."""

    def __init__(self, means: Means, tenant: Tenant, order: Order, exchange: Exchange) -> None:
        self.means, self.tenant, self.order, self.exchange = means, tenant, order, exchange
        self.audit = Audit(means.warehouse, means.now)

    async def run(self) -> Order:
        """Makes what is missing, sets what differs, retires what was replaced. Returns the order, ready."""
        await self.reopen()
        if is_adopted(self.means.warehouse, self.order, utc_day(self.means.now())):
            return self._leave_alone()
        await self.prepare()
        key = live_key(self.means.warehouse, self.order)
        if key is None:
            key = await self.once(self.make_key, self._take_over_key, self.create_key)
        await self.apply_limit(key)
        if self.order.replaces_key_id is not None:
            await self._retire_others(key)
        return self.finish()

    def finish(self) -> Order:
        """Notes that everything is as the tenant's status wants it."""
        with transaction(self.means.warehouse):
            self.audit.settle(self.tenant.tenant_id, self.order.provider)
            self.change_order(state=READY, reason=None, replaces_key_id=None)
        return self.order

    def _leave_alone(self) -> Order:
        """The accounts were there before us: no key and no limit of theirs is ours, and none is said to be."""
        if self.order.limit_usd is not None:
            log.warning(
                "%s has accounts at %s that were not made here, so no limit was set there",
                self.tenant.tenant_id,
                self.order.provider,
            )
            with transaction(self.means.warehouse):
                self.change_order(limit_usd=None)
        return self.finish()

    @abstractmethod
    async def prepare(self) -> None:
        """Makes what a key needs to stand in."""

    @abstractmethod
    async def create_key(self) -> IssuedKey:
        """Has the provider make a key, and hands it to `keep`."""

    @abstractmethod
    async def made_by(self, lost: Unresolved) -> list[Found]:
        """What is at the provider under the name and was not there when the lost request was about to be sent."""

    @abstractmethod
    async def remove(self, found: Found) -> None:
        """Deletes what a lost request made; nobody has its key."""

    @abstractmethod
    async def is_live(self, key: IssuedKey) -> bool:
        """Whether the provider has a key and lets it be used."""

    @abstractmethod
    async def apply_limit(self, key: IssuedKey) -> None:
        """Sets the order's limit where there is one."""

    @abstractmethod
    async def retire(self, key: IssuedKey) -> None:
        """Has the provider take a key out of use for good; one that is gone already is fine."""

    @abstractmethod
    async def pause(self) -> None:
        """Has the provider stop every key of the tenant until `reopen`."""

    @abstractmethod
    async def reopen(self) -> None:
        """Has the provider let keys be used again that `pause` stopped, where it can."""

    @abstractmethod
    async def close(self) -> None:
        """Has the provider stop every key and close every account of the tenant, for good."""

    async def look_into_lost(self) -> None:
        """Finds out what lost requests made, so that nothing of it stays in use unseen."""
        await self._take_over_key()

    async def do(
        self,
        action: str,
        call: Callable[[], Awaitable[T]],
        *,
        subject: str | None = None,
        object_id: str | None = None,
        known_ids: Collection[str] = (),
    ) -> tuple[int, T]:
        """One change, begun on record. A failure is noted here, success by the caller with all that follows from it."""
        number = self.audit.begin(
            self.tenant.tenant_id,
            self.order.provider,
            action,
            connection_id=self.exchange.connection_id,
            subject=subject,
            object_id=object_id,
            known_ids=known_ids,
        )
        try:
            return number, await call()
        except (ProviderError, KeyRefused) as error:
            with transaction(self.means.warehouse):
                self.audit.end(
                    number,
                    "lost" if may_have_happened(error) else "failed",
                    request_id=self.exchange.request_id,
                    detail=words_of(error),
                )
            raise

    async def put(
        self, action: str, call: Callable[[], Awaitable[Any]], *, subject: str | None, object_id: str
    ) -> None:
        """A change that may be made twice, from beginning to end."""
        number, _ = await self.do(action, call, subject=subject, object_id=object_id)
        with transaction(self.means.warehouse):
            self.done(number)

    async def once(
        self, action: str, take_over: Callable[[], Awaitable[T | None]], create: Callable[[], Awaitable[T]]
    ) -> T:
        """What must not be made twice: taken over from a request whose answer was lost, else created."""
        for attempt in range(ROUNDS):
            found = await take_over()
            if found is not None:
                return found
            try:
                return await create()
            except ProviderError as error:
                if attempt == ROUNDS - 1 or not self.unresolved(action):
                    raise
                log.warning("the answer to %r was lost, so it is looked into: %s", action, words_of(error))
        raise AssertionError("unreachable")

    def bound(self) -> list[str]:
        """Accounts whose spend is the tenant's today, without those that stand on another connection."""
        today = utc_day(self.means.now())
        elsewhere = {each.account_id for each in self.elsewhere()}
        return [each for each in bound_accounts(self.means.warehouse, self.order, today) if each not in elsewhere]

    def elsewhere(self) -> list[Elsewhere]:
        """The tenant's accounts that this connection's key does not reach."""
        today = utc_day(self.means.now())
        return accounts_elsewhere(self.means.warehouse, self.order, self.exchange.connection_id, today)

    def done(self, number: int, object_id: str | None = None) -> None:
        """Notes that an action succeeded, within the caller's transaction."""
        self.audit.end(number, "done", object_id=object_id, request_id=self.exchange.request_id)

    def change_order(self, **changes: Any) -> None:
        """Within the caller's transaction."""
        changes.setdefault("connection_id", self.exchange.connection_id)
        self.order = change_order(self.means.warehouse, self.order, self.means.now(), **changes)

    def bind(self, kind: str, account_id: str, first: date) -> None:
        """From that day on the account's spend is the tenant's; within the caller's transaction."""
        binding = Binding(self.tenant.tenant_id, self.order.provider, kind, account_id, first)
        if bind(self.means.warehouse, binding, self.means.now()):
            rerate_open_months(self.means.warehouse, since=first)

    def keep(self, number: int, key: IssuedKey, value: SecretStr) -> IssuedKey:
        """Stores a key that just arrived, then notes it: in this order nothing on record can be missing."""
        protect(value.get_secret_value())
        with change_vault(self.means.vault_path, self.means.ring) as vault:
            store_key(vault, key.tenant_id, key.provider, key.key_id, value, self.means.now())
        with transaction(self.means.warehouse):
            self.done(number, key.key_id)
            self.record(key)
        return key

    def record(self, key: IssuedKey) -> None:
        """Notes a key that is in the vault, within the caller's transaction."""
        record_key(self.means.warehouse, key, self.means.now())
        self.change_order()

    async def look_for(self, look: Callable[[], Awaitable[Sequence[T]]]) -> Sequence[T]:
        """What a lost request made, looked for more than once: lists may lag behind."""
        for attempt in range(LOOKS):
            if attempt:
                await self.exchange.sleep(LOOK_AGAIN_AFTER_S)
            if found := await look():
                return found
        return ()

    def unresolved(self, action: str) -> list[Unresolved]:
        """Requests of this kind whose end nobody knows."""
        return self.audit.unresolved(self.tenant.tenant_id, self.order.provider, action)

    async def _take_over_key(self) -> IssuedKey | None:
        """Finds out what became of a lost request for a key; returns its key if that is in the vault."""
        kept = None
        for lost in self.unresolved(self.make_key):
            found = await self.look_for(partial(self.made_by, lost))
            stored = self._stored_key_ids()
            for each in found:
                if kept is None and each.key is not None and each.key.key_id in stored:
                    kept = each.key
                else:
                    await self.remove(each)
            self.forget(stored - ({kept.key_id} if kept else set()))
            result = "adopted" if kept else "undone" if found else "not done"
            with transaction(self.means.warehouse):
                self.audit.end(lost.action_no, result, object_id=kept.key_id if kept else None)
                if kept:
                    self.record(kept)
        return kept

    async def _retire_others(self, key: IssuedKey) -> None:
        """Takes replaced keys out of use, once the new one is in the vault and known to the provider."""
        with read_vault(self.means.vault_path, self.means.ring) as vault:
            read_key(vault, key.tenant_id, key.provider, key.key_id)
        if not await self.look_for(partial(self._live, key)):
            raise ProvisioningPending(
                f"{key.provider} does not list the new key {key.key_id} yet, so the one before it stays. "
                "Run `tokenboard provision --pending` in a minute."
            )
        for other in usable_keys(self.means.warehouse, self.order):
            if other.key_id != key.key_id:
                await self.drop(other)

    async def drop(self, key: IssuedKey) -> None:
        """Takes a key out of use for good, at the provider, in the vault and on record."""
        await self.retire(key)
        self.forget({key.key_id})
        with transaction(self.means.warehouse):
            retire_key(self.means.warehouse, key, self.means.now())

    async def _live(self, key: IssuedKey) -> list[IssuedKey]:
        return [key] if await self.is_live(key) else []

    def _stored_key_ids(self) -> set[str]:
        """Keys of the tenant that are in the vault and not on record."""
        if not self.means.vault_path.exists():
            return set()
        with read_vault(self.means.vault_path, self.means.ring) as vault:
            stored = stored_key_ids(vault, self.tenant.tenant_id, self.order.provider)
        return stored - {key.key_id for key in usable_keys(self.means.warehouse, self.order)}

    def forget(self, key_ids: Collection[str]) -> None:
        """Removes keys of the tenant from the vault."""
        if not key_ids:
            return
        with change_vault(self.means.vault_path, self.means.ring) as vault:
            for key_id in key_ids:
                delete_key(vault, self.tenant.tenant_id, self.order.provider, key_id)
