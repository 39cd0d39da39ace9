"""The reseller's customers, with names that break careless code: markup, SQL, formulas, quotes."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from hashlib import sha256

VALID_FROM = date(2024, 1, 1)
CSV_HEADER = (
    "tenant_id",
    "name",
    "industry",
    "country",
    "currency",
    "billing_email",
    "openai_project_id",
    "openrouter_key_hash",
    "valid_from",
)


@dataclass(frozen=True, slots=True)
class TenantProfile:
    """`size` and `growth_percent` (a month, of the first month) set volume, `weekend_percent` the rhythm."""

    name: str
    industry: str
    country: str
    billing_email: str
    size: int
    growth_percent: int
    weekend_percent: int

    @property
    def tenant_id(self) -> str:
        return tenant_id_of(self.name)


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant with its accounts: OpenAI project ids by organization id, OpenRouter keys by hash."""

    tenant_id: str
    name: str
    industry: str
    country: str
    currency: str
    billing_email: str
    openai_projects: dict[str, tuple[str, ...]]
    openrouter_keys: tuple[str, ...]
    valid_from: date = VALID_FROM


PROFILES = (
    TenantProfile("Northwind Analytics", "software", "US", "billing@northwind.example", 100, 4, 35),
    TenantProfile("Bäckerei Müller & Söhne", "retail", "DE", "rechnung@mueller.example", 12, 2, 130),
    TenantProfile("Acme <b>Robotics</b>", "manufacturing", "US", "ap@acme.example", 60, 3, 25),
    TenantProfile("O'Brien; DROP TABLE charges;--", "legal", "IE", "accounts@obrien.example", 22, 1, 20),
    TenantProfile("=1+1 Formula Labs", "education", "GB", "finance@formula.example", 15, 6, 60),
    TenantProfile("株式会社さくら", "media", "JP", "keiri@sakura.example", 45, 3, 90),
    TenantProfile('"Quoted" Media', "media", "FR", "compta@quoted.example", 18, 2, 110),
    TenantProfile("Zażółć Gęślą Jaźń", "logistics", "PL", "faktury@zazolc.example", 30, 2, 45),
    TenantProfile("Contoso Retail", "retail", "US", "invoices@contoso.example", 75, 5, 140),
    TenantProfile("Helios Energy", "energy", "ES", "facturas@helios.example", 25, 1, 80),
    TenantProfile("Kiwi & Co <script>alert('x')</script>", "travel", "NZ", "pay@kiwi.example", 20, 3, 120),
    TenantProfile("Tailspin Toys", "retail", "CA", "ap@tailspin.example", 35, 2, 150),
)


def tenant_id_of(name: str) -> str:
    """Lower case, runs outside [a-z0-9] become a hyphen, 48 characters; a name without any is hashed."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:48].strip("-")
    return slug or f"tenant-{sha256(name.encode()).hexdigest()[:8]}"


def tenants_csv(tenants: Iterable[Tenant], org_id: str) -> str:
    """The registry import file: one row per account of one organization, and per OpenRouter key."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_HEADER)
    for t in tenants:
        accounts = [(project, "") for project in t.openai_projects.get(org_id, ())]
        accounts += [("", key) for key in t.openrouter_keys]
        facts = (t.tenant_id, t.name, t.industry, t.country, t.currency, t.billing_email)
        writer.writerows((*facts, project, key, t.valid_from.isoformat()) for project, key in accounts)
    return out.getvalue()
