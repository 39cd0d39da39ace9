"""`tokenboard connect` and `tokenboard vault`: further provider accounts, and the keys stored for them."""

from __future__ import annotations

import getpass
import sys
from typing import Annotated, Literal

import typer
from pydantic import SecretStr

from tokenboard_etl.connections import Mode
from tokenboard_etl.errors import RegistryError, WrongUse
from tokenboard_etl.logs import show_warnings
from tokenboard_etl.settings import Settings, clean_key, load_settings
from tokenboard_etl.terminal import err, out, plain

vault_app = typer.Typer(help="The encrypted keys.", no_args_is_help=True)

_LONGEST_KEY, _SHORTEST_KEY = 10_000, 16


def connect(
    provider: Annotated[Literal["openai", "openrouter"], typer.Option(help="Whose account it is.")],
    tenant: Annotated[
        str | None, typer.Option(metavar="TENANT_ID", help="The tenant who brings it; else ours.")
    ] = None,
    mode: Annotated[
        Mode, typer.Option(help="All reports of an organization, or a personal account's credit balance alone.")
    ] = "organization",
) -> None:
    """Store a further connection; its key is read from stdin, checked with the provider, and kept encrypted."""
    from tokenboard_etl.connecting import connect as connect_account
    from tokenboard_etl.tenants.key_ring import KeyRing

    settings = load_settings()
    if (provider, mode) == ("openrouter", "personal"):
        raise WrongUse("Personal accounts are OpenAI's; an OpenRouter account is read with its management key.")
    KeyRing(settings.encryption_keys).require()
    with show_warnings(err):
        if tenant is not None:
            _require_tenant(settings, tenant)
        done = connect_account(settings, provider, mode, tenant, read_key())
    findings = done.findings
    what = "Renewed the key of" if done.renewed else "Connected"
    out.print(f"{what} {done.connection.connection_id}: {provider}, {mode}, owned by {tenant or 'us'}", highlight=False)
    out.print(f"It may read: {', '.join(findings.may_read)}", highlight=False)
    if findings.key_name is not None:
        until = f"expires {findings.expires_at:%Y-%m-%d %H:%M} UTC" if findings.expires_at else "does not expire"
        out.print(f'The key is "{plain(findings.key_name)}" and {until}', highlight=False)


@vault_app.command("rotate")
def vault_rotate() -> None:
    """Encrypt every stored key anew under the first key of TOKENBOARD_ENCRYPTION_KEY."""
    from tokenboard_etl.tenants.key_ring import KeyRing
    from tokenboard_etl.tenants.vault import change_vault

    settings = load_settings()
    ring = KeyRing(settings.encryption_keys)
    ring.require()
    if not settings.vault_path.exists():
        out.print("Nothing is stored yet, so there is nothing to encrypt anew.")
        return
    with show_warnings(err), change_vault(settings.vault_path, ring) as vault:
        count = vault.rotate()
    out.print(f"{count} secret(s) encrypted anew; earlier keys are not needed any more", highlight=False)


def read_key() -> SecretStr:
    """A key from stdin: asked for without echo on a terminal, else one line. Never from the command line."""
    if sys.stdin.isatty():
        text = getpass.getpass("Key (it is not shown): ")
    else:
        text = sys.stdin.buffer.readline(_LONGEST_KEY).decode("ascii", "replace")
    if not text.strip():
        raise WrongUse("No key came on stdin. Type it when asked, or pipe it in: `< key.txt`.")
    if len(text.strip()) < _SHORTEST_KEY:
        raise WrongUse("What came on stdin is too short to be a key; was it copied whole?")
    try:
        return clean_key(text)
    except ValueError as error:
        raise WrongUse(f"What came on stdin {error}") from None


def _require_tenant(settings: Settings, tenant_id: str) -> None:
    from tokenboard_etl.tenants.registry import tenants
    from tokenboard_etl.warehouse.connection import open_warehouse

    with open_warehouse(settings.warehouse_path) as warehouse:
        if tenant_id not in {tenant.tenant_id for tenant in tenants(warehouse)}:
            raise RegistryError(f"No tenant {tenant_id!r} is registered; `tokenboard tenants list` shows who is.")
