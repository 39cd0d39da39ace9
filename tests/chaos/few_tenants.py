"""A world of three tenants, for campaigns whose nights are many."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from tokenboard_etl.providers.sandbox.meters import Readings
from tokenboard_etl.providers.sandbox.openai_spend import OpenAISpend
from tokenboard_etl.providers.sandbox.organizations import Organization
from tokenboard_etl.providers.sandbox.router_spend import RouterSpend
from tokenboard_etl.providers.sandbox.server import RunningSandbox, running_sandbox
from tokenboard_etl.providers.sandbox.world import World

_TENANTS, _ROUTER_KEYS = 3, 10


class FewTenants(World):
    """The first tenants of the world with all of their projects, some of their keys, and spend that is nobody's."""

    def __init__(self, seed: int = 1) -> None:
        super().__init__(seed)
        kept = self.tenants[:_TENANTS]
        ids = {tenant.tenant_id for tenant in kept}
        self.organizations = tuple(_of(org, ids) for org in self.organizations)
        keys = tuple(key for key in self.account.keys if key.tenant_id in ids)[:_ROUTER_KEYS]
        hashes = {key.hash for key in keys}
        streams = tuple(each for each in self.account.streams if each.key_hash is None or each.key_hash in hashes)
        self.account = replace(self.account, keys=keys, streams=streams)
        readings = Readings(seed)
        self.openai = OpenAISpend(seed, readings, self.organizations)
        self.openrouter = RouterSpend(seed, readings, self.account)
        self.tenants = tuple(
            replace(each, openrouter_keys=tuple(key for key in each.openrouter_keys if key in hashes)) for each in kept
        )


def _of(org: Organization, tenants: set[str]) -> Organization:
    projects = tuple(each for each in org.projects if each.is_default or each.tenant_id in tenants)
    ids = {project.id for project in projects}
    return replace(
        org,
        projects=projects,
        text_streams=tuple(each for each in org.text_streams if each.key.project_id in ids),
        tool_streams=tuple(each for each in org.tool_streams if each.key.project_id in ids),
    )


@contextmanager
def sandbox_of_few_tenants(now: datetime) -> Iterator[RunningSandbox]:
    """Both providers on loopback, as fast as the client asks."""
    with running_sandbox(now=now, analytics_per_minute=None) as running:
        running.sandbox.world = FewTenants()
        running.reset()
        yield running
