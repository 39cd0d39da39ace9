"""Shows a stored key to a person, who is on record with it."""

from __future__ import annotations

from pydantic import SecretStr

from tokenboard_etl.errors import RegistryError
from tokenboard_etl.settings import Settings
from tokenboard_etl.tenants.audit import Audit
from tokenboard_etl.tenants.key_ring import KeyRing
from tokenboard_etl.tenants.provisioning.orders import live_key, orders
from tokenboard_etl.tenants.tenant_keys import read_key
from tokenboard_etl.tenants.vault import read_vault
from tokenboard_etl.warehouse.connection import open_warehouse, transaction


def reveal(settings: Settings, tenant_id: str, provider: str) -> SecretStr:
    """The key a tenant uses at a provider. That it was asked for is committed before it is read."""
    ring = KeyRing(settings.encryption_keys)
    ring.require()
    with open_warehouse(settings.warehouse_path) as warehouse:
        order = next((each for each in orders(warehouse, tenant_id) if each.provider == provider), None)
        key = live_key(warehouse, order) if order else None
        if key is None:
            raise RegistryError(f"No key of {tenant_id!r} at {provider} is stored here.")
        audit = Audit(warehouse, lambda: settings.now)
        number = audit.begin(tenant_id, provider, "reveal key", object_id=key.key_id)
        with read_vault(settings.vault_path, ring) as vault:
            value = read_key(vault, tenant_id, provider, key.key_id)
        with transaction(warehouse):
            audit.end(number, "done")
    return value
