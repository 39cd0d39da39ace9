"""Provisions as the jobs do, in the test's own process, against the sandbox."""

from __future__ import annotations

import asyncio
import base64
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from tokenboard_etl.connections import connections
from tokenboard_etl.http import Client
from tokenboard_etl.providers.sandbox.openai_state import ProjectState
from tokenboard_etl.providers.sandbox.openrouter_state import KeyState
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.settings import Settings, load_settings
from tokenboard_etl.tenants.provisioning.exchange import Exchange
from tokenboard_etl.tenants.provisioning.orders import Order, orders
from tokenboard_etl.tenants.provisioning.registering import Registration, register
from tokenboard_etl.tenants.provisioning.run import Provisioning
from tokenboard_etl.tenants.revealing import reveal
from tokenboard_etl.warehouse.connection import open_warehouse

NOW = datetime(2026, 6, 15, 2, tzinfo=UTC)
RING, OTHER_RING = (base64.b64encode(bytes([n]) * 32).decode() for n in (7, 8))
ATLAS = Registration("Atlas & Co", industry="travel", billing_email="ap@atlas.example", limit_usd=Decimal(200))


@dataclass
class Desk:
    """Provisions as the jobs do, in this process and without waiting. `slept` are the waits it was asked for."""

    sandbox: RunningSandbox
    home: Path
    env: dict[str, str | None] = field(default_factory=dict)
    slept: list[int] = field(default_factory=list)

    @property
    def variables(self) -> dict[str, str]:
        """What the environment holds unless `env` says otherwise."""
        now = {"TOKENBOARD_HOME": str(self.home), "TOKENBOARD_NOW": NOW.isoformat()}
        return {**self.sandbox.env(), **now, "TOKENBOARD_ENCRYPTION_KEY": RING}

    @property
    def settings(self) -> Settings:
        return load_settings(**{**self.variables, **self.env})

    def provision(self, *registrations: Registration) -> list[Order]:
        """Registers tenants, then completes whatever is pending; returns all orders."""
        with open_warehouse(self.settings.warehouse_path) as warehouse:
            for each in registrations:
                register(warehouse, each, NOW)
            return self.go_on(warehouse)

    def go_on(self, warehouse: duckdb.DuckDBPyConnection) -> list[Order]:
        pending = dict.fromkeys(order.tenant_id for order in orders(warehouse, state="pending"))
        asyncio.run(self._complete(warehouse, list(pending)))
        return orders(warehouse)

    async def _complete(self, warehouse: duckdb.DuckDBPyConnection, tenant_ids: list[str]) -> None:
        async with AsyncExitStack() as stack:
            known = {}
            for each in connections(self.settings):
                client = await stack.enter_async_context(Client(each.base_url, each.key, sleep=_at_once))
                known[each.connection_id] = Exchange(each.connection_id, each.provider, client.send, self._sleep)
            provisioning = Provisioning(self.settings, known)
            for tenant_id in tenant_ids:
                await provisioning.provision(warehouse, tenant_id)

    async def _sleep(self, seconds: int) -> None:
        self.slept.append(seconds)

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        with open_warehouse(self.settings.warehouse_path) as warehouse:
            return warehouse.execute(query).fetchall()

    def projects(self, name: str = ATLAS.name) -> list[ProjectState]:
        org = self.sandbox.sandbox.organizations[self.sandbox.world.organizations[0].id]
        return [each for each in org.projects.values() if each.given_name == name]

    def router_keys(self, name: str = ATLAS.name) -> list[KeyState]:
        return [each for each in self.sandbox.sandbox.account.keys.values() if each.name == name]

    def is_whole(self, name: str = ATLAS.name, tenant_id: str = "atlas-co") -> None:
        """One project, one service account, one live key each, and the stored keys are those."""
        (project,) = self.projects(name)
        (account_id,) = project.accounts
        assert [key.account_id for key in project.keys.values()] == [account_id]
        (live,) = [key for key in self.router_keys(name) if not key.is_disabled(NOW)]
        assert (
            reveal(self.settings, tenant_id, "openai")
            .get_secret_value()
            .endswith(next(iter(project.keys.values())).redacted_value[-4:])
        )
        value = reveal(self.settings, tenant_id, "openrouter").get_secret_value()
        assert self.sandbox.sandbox.account.by_value(value) == live


async def _at_once(_seconds: float) -> None:
    """Instead of a wait."""
