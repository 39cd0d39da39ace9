"""What must be true after a saga, at both providers, in the vault and on record; everything else is named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from chaos.sagas import CHANGED_USD, LIMIT, OFFBOARD, REGISTRATION, STATUS, SUSPEND, TENANT_ID
from chaos.stages import COUNTED, NOW, Stage, made_since
from tokenboard_etl.providers.sandbox.draws import code
from tokenboard_etl.providers.sandbox.server import RunningSandbox
from tokenboard_etl.settings import Settings
from tokenboard_etl.tenants.key_ring import KeyRing
from tokenboard_etl.tenants.tenant_keys import read_key
from tokenboard_etl.tenants.vault import read_vault

_FIGURES = ("raw.openai_costs", "raw.openai_costs_total", "raw.openrouter_analytics", "raw.openrouter_analytics_total")


@dataclass(frozen=True)
class _Account:
    """The tenant at both providers, by the ids that bear its name there."""

    project: Any
    key_ids: set[str]
    hashes: set[str]
    disabled: set[str]


def wrong(stage: Stage, home: Path) -> Iterator[str]:
    """Everything that is not as it must be after a scenario that ended well."""
    made = made_since(stage.sandbox)
    if len(made["projects"]) != 1:
        yield f"{len(made['projects'])} projects"
        return
    (project,) = made["projects"]
    hashes = {key.hash for key in made["keys"]}
    found = _Account(project, set(project.keys), hashes, {key.hash for key in made["keys"] if key.is_disabled(NOW)})
    stopped, closed = stage.scenario in (SUSPEND, OFFBOARD), stage.scenario == OFFBOARD
    limit_usd, keys_each = CHANGED_USD.get(stage.scenario, REGISTRATION.limit_usd or Decimal(0)), 0 if stopped else 1
    alerts_at = CHANGED_USD[LIMIT] if stage.scenario == LIMIT else REGISTRATION.limit_usd or Decimal(0)
    yield from _differences(
        ("name", project.given_name, REGISTRATION.name),
        ("archived", project.archived_at is not None, closed),
        ("service accounts", len(project.accounts), keys_each),
        ("project keys", [key.account_id for key in project.keys.values()], list(project.accounts)),
        ("limit", project.budget.limit_cents, int(limit_usd * 100)),
        (
            "alerts",
            sorted(each.threshold_cents for each in project.budget.alerts.values()),
            [int(alerts_at * percent) for percent in (50, 80, 100)],
        ),
        ("live keys", len(hashes - found.disabled), keys_each),
        (
            "router limits",
            {(k.name, k.limit, k.limit_reset) for k in made["keys"] if stopped or not k.is_disabled(NOW)},
            {(REGISTRATION.name, limit_usd, "monthly")},
        ),
        ("elsewhere", made["elsewhere"], []),
    )
    usable = set() if closed else hashes if stopped else hashes - found.disabled
    yield from _wrong_in_the_vault(stage, home, found.key_ids, usable)
    yield from _wrong_on_record(stage, home, found, usable)


def _wrong_in_the_vault(stage: Stage, home: Path, key_ids: set[str], hashes: set[str]) -> Iterator[str]:
    """It holds the keys that can be used, or opened again, and no other."""
    settings = stage.settings(home)
    stored = {key_id for _, _, key_id in stored_keys(settings)}
    yield from _differences(("stored", stored, key_ids | hashes))
    yield from altered_keys(settings, stage.sandbox)


def stored_keys(settings: Settings) -> set[tuple[str, str, str]]:
    """Tenant, provider and id of each key in the vault; none without a vault."""
    if not settings.vault_path.exists():
        return set()
    with read_vault(settings.vault_path, KeyRing(settings.encryption_keys)) as vault:
        ids = [each.secret_id.split("/") for each in vault.secrets()]
    return {(tenant_id, provider, key_id) for _, tenant_id, provider, key_id in ids}


def altered_keys(settings: Settings, sandbox: RunningSandbox) -> Iterator[str]:
    """Stored keys that do not decrypt, or to something else than what the provider issued under their id."""
    for tenant_id, provider, key_id in stored_keys(settings):
        with read_vault(settings.vault_path, KeyRing(settings.encryption_keys)) as vault:
            value = read_key(vault, tenant_id, provider, key_id).get_secret_value()
        if provider == "openai":
            yield from _differences((f"the value of {key_id}", value, f"sk-svcacct-SANDBOX-{code(40, key_id)}"))
        else:
            key = sandbox.sandbox.account.by_value(value)
            yield from _differences((f"the key behind {key_id}", key and key.hash, key_id))


def _wrong_on_record(stage: Stage, home: Path, found: _Account, usable: set[str]) -> Iterator[str]:
    retired = found.hashes - usable
    status, limit_usd = STATUS.get(stage.scenario, "active"), CHANGED_USD.get(stage.scenario, REGISTRATION.limit_usd)
    bound = {("project", found.project.id, None), *(("key", each, None) for each in found.hashes)}
    kept = found.key_ids | usable
    with closing(duckdb.connect(stage.settings(home).warehouse_path)) as warehouse:
        for what, query, must in (
            (
                "keys",
                "SELECT key_id FROM registry.keys WHERE retired_at IS NULL",
                {(each,) for each in kept},
            ),
            (
                "retired",
                "SELECT key_id FROM registry.keys WHERE provider = 'openrouter' AND retired_at IS NOT NULL",
                {(each,) for each in retired},
            ),
            (
                "orders",
                "SELECT DISTINCT state, reason, replaces_key_id, limit_usd FROM registry.provisioning",
                {("ready", None, None, limit_usd)},
            ),
            ("open actions", "SELECT action FROM registry.audit WHERE result IN ('begun', 'lost')", set()),
            ("tenants", "SELECT tenant_id, status FROM registry.tenants", {(TENANT_ID, status)}),
            ("bindings", "SELECT kind, account_id, valid_until FROM registry.accounts", bound),
        ):
            yield from _differences((what, set(warehouse.execute(query).fetchall()), must))
        if stage.scenario == OFFBOARD:
            yield from _wrong_in_the_last_reading(stage, warehouse)


def _wrong_in_the_last_reading(stage: Stage, warehouse: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """Its figures are those of a run nobody disturbed."""
    with closing(duckdb.connect(stage.settings(stage.folder / COUNTED).warehouse_path)) as undisturbed:
        for table in _FIGURES:
            query = f"SELECT * EXCLUDE (load_id) FROM {table} ORDER BY ALL"
            is_, must = (each.execute(query).fetchall() for each in (warehouse, undisturbed))
            if not must or is_ != must:
                yield f"{table} has {len(is_)} rows, some unlike the {len(must)} of an undisturbed run"


def _differences(*looked_at: tuple[str, Any, Any]) -> Iterator[str]:
    yield from (f"{what}: {is_} is not {must}" for what, is_, must in looked_at if is_ != must)
