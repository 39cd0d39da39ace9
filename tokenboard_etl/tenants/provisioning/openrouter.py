"""A tenant at OpenRouter: one key that bears its name, with a limit that starts anew each month.

A key that was in use is disabled and not deleted: it stops at once, and stays in the provider's list, without which the
cost of its last days could not be told from everybody else's.
"""

from __future__ import annotations

from functools import partial

from tokenboard_etl.errors import ProviderRejected, ProvisioningPending
from tokenboard_etl.periods import utc_day
from tokenboard_etl.providers import openrouter, openrouter_changes
from tokenboard_etl.providers.openrouter_wire import Key
from tokenboard_etl.tenants.audit import Unresolved
from tokenboard_etl.tenants.provisioning.means import Found
from tokenboard_etl.tenants.provisioning.orders import IssuedKey, usable_keys
from tokenboard_etl.tenants.provisioning.saga import Saga
from tokenboard_etl.tenants.provisioning.standing import suspended_keys


class OpenRouterSaga(Saga):
    make_key = "create key"

    async def prepare(self) -> None:
        """A key stands in the account's default workspace, which is there."""

    async def create_key(self) -> IssuedKey:
        name, limit_usd = self.tenant.name, self.order.limit_usd
        listed = await openrouter.key_list(self.exchange.fetch)
        number, made = await self.do(
            self.make_key,
            lambda: openrouter_changes.create_key(self.exchange.fetch, name, limit_usd),
            subject=name,
            known_ids=[key.hash for key in listed.values() if key.name == name],
        )
        return self.keep(number, self._issued(made.data), made.key)

    async def made_by(self, lost: Unresolved) -> list[Found]:
        """A key that was used is somebody's, whatever its name: nobody has had one whose answer was lost."""
        return [
            Found(key.hash, self._issued(key))
            for key in (await openrouter.key_list(self.exchange.fetch)).values()
            if key.name == lost.subject and key.hash not in lost.known_ids and not (key.usage or key.byok_usage)
        ]

    async def remove(self, found: Found) -> None:
        """Nobody ever had this key, so nothing was spent with it and it may leave the list."""
        await self.put(
            "delete key",
            lambda: openrouter_changes.delete_key(self.exchange.fetch, found.object_id),
            subject=self.tenant.name,
            object_id=found.object_id,
        )

    async def is_live(self, key: IssuedKey) -> bool:
        found = await openrouter_changes.find_key(self.exchange.fetch, key.key_id)
        return found is not None and not found.disabled

    async def retire(self, key: IssuedKey) -> None:
        await self._switch("disable key", key.key_id, disabled=True)

    async def pause(self) -> None:
        for key_id in self._key_ids():
            found = await openrouter_changes.find_key(self.exchange.fetch, key_id)
            if found is not None and not found.disabled:
                await self._switch("suspend key", key_id, disabled=True)

    async def reopen(self) -> None:
        for key_id in suspended_keys(self.means.warehouse, self.order):
            await self._switch("resume key", key_id, disabled=False)

    async def close(self) -> None:
        """Disabled and not deleted: see above."""
        for key_id in self._key_ids():
            await self._switch("disable key", key_id, disabled=True)

    async def apply_limit(self, key: IssuedKey) -> None:
        limit_usd = self.order.limit_usd
        if limit_usd is None:
            return
        found = await self.look_for(partial(self._find, key))
        if not found:
            raise ProvisioningPending(
                f"openrouter has no key {key.key_id} any more. `tokenboard tenants rotate {self.tenant.tenant_id}` "
                "makes a new one."
            )
        if (found[0].limit, found[0].limit_reset) != (limit_usd, openrouter_changes.MONTHLY):
            await self.put(
                "set limit",
                lambda: openrouter_changes.set_limit(self.exchange.fetch, key.key_id, limit_usd),
                subject=f"{limit_usd:.2f} USD a month",
                object_id=key.key_id,
            )

    def record(self, key: IssuedKey) -> None:
        super().record(key)
        self.bind("key", key.key_id, utc_day(self.means.now()))

    def _issued(self, key: Key) -> IssuedKey:
        return IssuedKey(self.tenant.tenant_id, "openrouter", key.hash, label=key.label)

    async def _find(self, key: IssuedKey) -> list[Key]:
        found = await openrouter_changes.find_key(self.exchange.fetch, key.key_id)
        return [] if found is None else [found]

    def _key_ids(self) -> list[str]:
        """Keys that were made for the tenant and keys that are bound to it; retired ones are disabled already."""
        made = {key.key_id for key in usable_keys(self.means.warehouse, self.order)}
        retired = {
            key_id
            for (key_id,) in self.means.warehouse.execute(
                "SELECT key_id FROM registry.keys WHERE provider = 'openrouter' AND retired_at IS NOT NULL"
            ).fetchall()
        }
        return sorted(made | set(self.bound()) - retired)

    async def _switch(self, action: str, key_id: str, *, disabled: bool) -> None:
        """One that is gone already cannot be used either."""

        async def change() -> None:
            try:
                await openrouter_changes.change_key(self.exchange.fetch, key_id, disabled=disabled)
            except ProviderRejected as refusal:
                if refusal.status != 404:
                    raise

        await self.put(action, change, subject=self.tenant.name, object_id=key_id)
