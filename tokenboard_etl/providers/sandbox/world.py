"""The seeded world: who exists, and the true figures of every day as they are visible at a moment.

Tests of other parts compare what they computed with these methods; the HTTP application answers from them.
"""

from __future__ import annotations

from datetime import date, datetime

from tokenboard_etl.providers.sandbox.draws import code
from tokenboard_etl.providers.sandbox.meters import Readings
from tokenboard_etl.providers.sandbox.openai_spend import CompletionRow, CostRow, OpenAISpend, ToolRow
from tokenboard_etl.providers.sandbox.organizations import build_organizations
from tokenboard_etl.providers.sandbox.router_account import build_account
from tokenboard_etl.providers.sandbox.router_spend import RouterSpend, SpendRow
from tokenboard_etl.providers.sandbox.tenants import PROFILES, Tenant, tenants_csv


class World:
    """Equal seeds and scales give equal worlds; `scale` multiplies the API keys, and so the rows."""

    def __init__(self, seed: int = 1, scale: int = 1) -> None:
        self.seed = seed
        self.scale = scale
        self.organizations = build_organizations(seed, scale)
        self.account = build_account(seed, scale)
        readings = Readings(seed)
        self.openai = OpenAISpend(seed, readings, self.organizations)
        self.openrouter = RouterSpend(seed, readings, self.account)
        self.admin_keys = {org.id: f"sk-admin-SANDBOX-{code(32, seed, 'admin', org.id)}" for org in self.organizations}
        self.session_tokens = {
            org.id: f"sess-SANDBOX-{code(32, seed, 'session', org.id)}" for org in self.organizations
        }
        self.management_key = f"sk-or-v1-SANDBOX-mgmt-{code(32, seed, 'management')}"
        self.tenants = self._tenants()

    @property
    def default_workspace_id(self) -> str:
        return self.account.workspaces[0].id

    def openai_costs(self, org_id: str, day: date, seen_at: datetime) -> list[CostRow]:
        """Bill rows per project, line item and key. Changes until four days after the day's end."""
        return list(self.openai.costs(org_id, day, seen_at))

    def openai_completions(self, org_id: str, day: date, seen_at: datetime) -> list[CompletionRow]:
        """Token usage per key, model, batch and tier, up to the moment."""
        return list(self.openai.completions(org_id, day, seen_at))

    def openai_usage(self, org_id: str, endpoint: str, day: date, seen_at: datetime) -> list[ToolRow]:
        """Usage of another endpoint (`images`, `embeddings`, ...), up to the moment."""
        return list(self.openai.tools(org_id, endpoint, day, seen_at))

    def openrouter_spend(self, day: date, seen_at: datetime) -> list[SpendRow]:
        """Spend per key and model endpoint; rows without a key appear only in unfiltered totals."""
        return self.openrouter.rows(day, seen_at)

    def restated_to_zero(self, org_id: str, day: date) -> str | None:
        """The project of this day whose rows become zero 60 hours after the day's end."""
        return self.openai.zeroed_project(org_id, day)

    def vanishing_row(self, org_id: str, day: date) -> tuple[str | None, str, str | None] | None:
        """Project, line item and key of the row of this day that is gone 48 hours after the day's end."""
        return self.openai.vanishing_row(org_id, day)

    def tenants_csv(self, org_index: int = 0) -> str:
        """The registry import file for one organization's projects and all bound OpenRouter keys."""
        return tenants_csv(self.tenants, self.organizations[org_index].id)

    def _tenants(self) -> tuple[Tenant, ...]:
        return tuple(
            Tenant(
                tenant_id=profile.tenant_id,
                name=profile.name,
                industry=profile.industry,
                country=profile.country,
                currency="USD",
                billing_email=profile.billing_email,
                openai_projects={
                    org.id: tuple(p.id for p in org.projects if p.tenant_id == profile.tenant_id)
                    for org in self.organizations
                },
                openrouter_keys=tuple(k.hash for k in self.account.keys if k.tenant_id == profile.tenant_id),
            )
            for profile in PROFILES
        )
